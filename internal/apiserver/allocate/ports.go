package allocate

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Ports is the pool of node ports.
type Ports struct {
	First, Last int32
	Pool        *Pool
}

// Take takes the node ports that s needs and old (nil on create) does not have, and writes them into s. taken are to be freed
// where the write fails, gone where it succeeds. Errors are Invalid or InternalError; then nothing is taken.
func (r *Ports) Take(s, old *corev1.Service) (taken, gone []int32, err error) {
	had := Held(old)
	defer func() {
		if err != nil {
			r.Free(taken)
			taken = nil
		}
	}()
	if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		if taken, err = r.takePorts(s, had); err != nil {
			return taken, nil, err
		}
	}
	if NeedsHealthPort(s) && (old == nil || !NeedsHealthPort(old)) {
		p, err := r.takeHealth(s.Spec.HealthCheckNodePort)
		if err != nil {
			return taken, nil, err
		}
		s.Spec.HealthCheckNodePort = p
		taken = append(taken, p)
	}
	now := Held(s)
	for _, p := range had {
		if !slices.Contains(now, p) {
			gone = append(gone, p)
		}
	}
	return taken, gone, nil
}

// takePorts gives each port of s a number: its own wish, that of a port with the same number in another protocol, or any.
func (r *Ports) takePorts(s *corev1.Service, had []int32) (taken []int32, err error) {
	mine := func(p int32) bool { return slices.Contains(had, p) || slices.Contains(taken, p) }
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort == 0 && !NeedsPorts(s) {
			continue
		}
		if p.NodePort == 0 {
			p.NodePort = sibling(s.Spec.Ports, i)
		}
		if p.NodePort == 0 {
			n, err := r.Pool.Next()
			if err != nil {
				return taken, apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err))
			}
			p.NodePort = r.First + int32(n)
			taken = append(taken, p.NodePort)
			continue
		}
		if mine(p.NodePort) {
			continue
		}
		if err := r.take(p.NodePort); err != nil {
			return taken, invalid(s, field.ErrorList{field.Invalid(field.NewPath("spec", "ports").Index(i).Child("nodePort"), p.NodePort, err.Error())})
		}
		taken = append(taken, p.NodePort)
	}
	return taken, nil
}

// sibling is the node port of another port with the same number in another protocol.
func sibling(ports []corev1.ServicePort, i int) int32 {
	for j, q := range ports {
		if j != i && q.Port == ports[i].Port && q.Protocol != ports[i].Protocol && q.NodePort != 0 {
			return q.NodePort
		}
	}
	return 0
}

func (r *Ports) take(p int32) error {
	switch err := r.Pool.Take(int(p - r.First)); {
	case errors.Is(err, ErrOutside):
		return fmt.Errorf("provided port is %w. The range of valid ports is %d-%d", err, r.First, r.Last)
	case err != nil:
		return fmt.Errorf("provided port is %w", err)
	}
	return nil
}

func (r *Ports) takeHealth(p int32) (int32, error) {
	if p != 0 {
		if err := r.take(p); err != nil {
			return 0, apierrors.NewInternalError(fmt.Errorf("failed to allocate requested HealthCheck NodePort %v: %w", p, err))
		}
		return p, nil
	}
	n, err := r.Pool.Next()
	if err != nil {
		return 0, apierrors.NewInternalError(fmt.Errorf("failed to allocate a HealthCheck NodePort %v: %w", p, err))
	}
	return r.First + int32(n), nil
}

// Free gives ports back.
func (r *Ports) Free(ports []int32) {
	for _, p := range ports {
		r.Pool.Free(int(p - r.First))
	}
}

// Held are the node ports of a Service, nil for none.
func Held(s *corev1.Service) []int32 {
	if s == nil || s.Spec.Type != corev1.ServiceTypeNodePort && s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	var out []int32
	for _, p := range s.Spec.Ports {
		if p.NodePort != 0 && !slices.Contains(out, p.NodePort) {
			out = append(out, p.NodePort)
		}
	}
	if NeedsHealthPort(s) && s.Spec.HealthCheckNodePort != 0 {
		out = append(out, s.Spec.HealthCheckNodePort)
	}
	return out
}
