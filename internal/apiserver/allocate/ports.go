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
	// Guess makes numbers up that need not be of the range, for a write that is only tried: what it would get is decided when it
	// is made.
	Guess bool

	guessed int32 // the last guess
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
		if old == nil {
			taken, err = r.takeFirst(s)
		} else {
			taken, err = r.takeMore(s, had)
		}
		if err != nil {
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

// takeFirst gives each port of a new service a number: its own wish, that of a port with the same number in another
// protocol, or any.
func (r *Ports) takeFirst(s *corev1.Service) (taken []int32, err error) {
	of := map[int32]int32{} // node port by port
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort == 0 && !NeedsPorts(s) || p.NodePort != 0 && p.NodePort == of[p.Port] {
			continue
		}
		if p.NodePort == 0 {
			p.NodePort = of[p.Port]
		} else if err := r.take(s, i); err != nil {
			return taken, err
		} else {
			taken = append(taken, p.NodePort)
		}
		if p.NodePort == 0 {
			if p.NodePort = wished(s.Spec.Ports, i); p.NodePort != 0 {
				err = r.take(s, i)
			} else {
				p.NodePort, err = r.next()
			}
			if err != nil {
				return taken, err
			}
			taken = append(taken, p.NodePort)
		}
		if of[p.Port] == 0 {
			of[p.Port] = p.NodePort
		}
	}
	return taken, nil
}

// wished is the node port that a later port with the same number asks for.
func wished(ports []corev1.ServicePort, i int) int32 {
	for _, q := range ports[i+1:] {
		if q.Port == ports[i].Port && q.NodePort != 0 {
			return q.NodePort
		}
	}
	return 0
}

// takeMore gives the ports of a changed service the numbers that it has not had.
func (r *Ports) takeMore(s *corev1.Service, had []int32) (taken []int32, err error) {
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		switch {
		case p.NodePort == 0 && !NeedsPorts(s):
			continue
		case slices.Contains(had, p.NodePort), slices.Contains(taken, p.NodePort):
			if err := asked(s.Spec.Ports, i); err != nil {
				return taken, err
			}
			continue
		case p.NodePort == 0:
			p.NodePort, err = r.next()
		default:
			err = r.take(s, i)
		}
		if err != nil {
			return taken, err
		}
		taken = append(taken, p.NodePort)
	}
	return taken, nil
}

// asked is an error where an earlier port of the same protocol has the node port of port i. Upstream's status for it is that
// of an error that it has no status for.
func asked(ports []corev1.ServicePort, i int) error {
	p := ports[i]
	for _, q := range ports[:i] {
		if q.Protocol == p.Protocol && q.NodePort == p.NodePort {
			return fmt.Errorf("duplicate nodePort: {%s %d}", p.Protocol, p.NodePort)
		}
	}
	return nil
}

// take takes the number that port i of s asks for.
func (r *Ports) take(s *corev1.Service, i int) error {
	p := s.Spec.Ports[i].NodePort
	if err := r.takeNumber(p); err != nil {
		return invalid(s, field.ErrorList{field.Invalid(field.NewPath("spec", "ports").Index(i).Child("nodePort"), p, err.Error())})
	}
	return nil
}

func (r *Ports) next() (int32, error) {
	if r.Guess {
		return r.guess(), nil
	}
	n, err := r.Pool.Next()
	if err != nil {
		return 0, apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err))
	}
	return r.First + int32(n), nil
}

// guess is a number that is likely free.
func (r *Ports) guess() int32 {
	const first, tries = 32769, 100
	p := max(first, r.guessed+1)
	for range tries {
		if !r.Pool.Has(int(p - r.First)) {
			break
		}
		p++
	}
	r.guessed = p
	return p
}

func (r *Ports) takeNumber(p int32) error {
	switch err := r.Pool.Take(int(p - r.First)); {
	case errors.Is(err, ErrOutside) && r.Guess:
		return nil
	case errors.Is(err, ErrOutside):
		return fmt.Errorf("provided port is %w. The range of valid ports is %d-%d", err, r.First, r.Last)
	case err != nil:
		return fmt.Errorf("provided port is %w", err)
	}
	return nil
}

func (r *Ports) takeHealth(p int32) (int32, error) {
	if p != 0 {
		if err := r.takeNumber(p); err != nil {
			return 0, apierrors.NewInternalError(fmt.Errorf("failed to allocate requested HealthCheck NodePort %v: %w", p, err))
		}
		return p, nil
	}
	if r.Guess {
		return r.guess(), nil
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
