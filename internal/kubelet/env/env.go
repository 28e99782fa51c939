package env

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Source reads what an environment refers to. The getters return an error that apierrors.IsNotFound knows where the
// object is missing.
type Source struct {
	ConfigMap func(name string) (*corev1.ConfigMap, error)
	Secret    func(name string) (*corev1.Secret, error)
	Services  []*corev1.Service // of the pod's namespace and the default one
	PodIPs    []string
	HostIPs   []string
	NodeName  string
	// Allocatable is what the node offers: the value of a limit that the container does not set.
	Allocatable corev1.ResourceList
	NotFound    func(error) bool
	// File reads one key of an env file in a volume of the pod.
	File func(ref *corev1.FileKeySelector) (value string, found bool, err error)
}

// Var is one variable; order is kept, a later one of the same name wins.
type Var struct{ Name, Value string }

// Of returns the container's environment in the order upstream gives: services first, then envFrom, then env. The error
// is in upstream's words and makes the container wait with CreateContainerConfigError.
func Of(pod *corev1.Pod, c *corev1.Container, src Source) ([]Var, error) {
	r := &result{values: map[string]string{}}
	fallback := serviceVars(pod, src.Services)
	for _, from := range c.EnvFrom {
		if err := r.from(from, src); err != nil {
			return nil, err
		}
	}
	for _, e := range c.Env {
		v, ok, err := r.one(pod, c, e, src, fallback)
		if err != nil {
			return nil, err
		}
		if ok {
			r.set(e.Name, v)
		}
	}
	for _, v := range fallback {
		if _, ok := r.values[v.Name]; !ok {
			r.set(v.Name, v.Value)
		}
	}
	return r.list(), nil
}

type result struct {
	order  []string
	values map[string]string
}

func (r *result) set(name, v string) {
	if _, ok := r.values[name]; !ok {
		r.order = append(r.order, name)
	}
	r.values[name] = v
}

func (r *result) list() []Var {
	out := make([]Var, 0, len(r.order))
	for _, n := range r.order {
		out = append(out, Var{n, r.values[n]})
	}
	return out
}

// from adds all entries of a config map or secret, in the order of their names.
func (r *result) from(f corev1.EnvFromSource, src Source) error {
	data := map[string]string{}
	switch {
	case f.ConfigMapRef != nil:
		cm, err := src.ConfigMap(f.ConfigMapRef.Name)
		if err != nil {
			if src.NotFound(err) && yes(f.ConfigMapRef.Optional) {
				return nil
			}
			return err
		}
		data = cm.Data
	case f.SecretRef != nil:
		s, err := src.Secret(f.SecretRef.Name)
		if err != nil {
			if src.NotFound(err) && yes(f.SecretRef.Optional) {
				return nil
			}
			return err
		}
		for k, v := range s.Data {
			data[k] = string(v)
		}
	}
	for _, k := range sortedKeys(data) {
		if name := f.Prefix + k; validName(name) {
			r.set(name, data[k])
		}
	}
	return nil
}

// one evaluates one entry of env. ok is false where it is optional and its source is missing.
func (r *result) one(pod *corev1.Pod, c *corev1.Container, e corev1.EnvVar, src Source, services []Var) (string, bool, error) {
	from := e.ValueFrom
	switch {
	case from == nil:
		return Expand(e.Value, func(n string) (string, bool) {
			if v, ok := r.values[n]; ok {
				return v, true
			}
			i := slices.IndexFunc(services, func(v Var) bool { return v.Name == n })
			if i < 0 {
				return "", false
			}
			return services[i].Value, true
		}), true, nil
	case from.FieldRef != nil:
		v, err := Field(pod, from.FieldRef.FieldPath, src)
		return v, err == nil, err
	case from.ResourceFieldRef != nil:
		v, err := Resource(pod, c, from.ResourceFieldRef, src.Allocatable)
		return v, err == nil, err
	case from.ConfigMapKeyRef != nil:
		return configMapKey(pod, from.ConfigMapKeyRef, src)
	case from.SecretKeyRef != nil:
		return secretKey(pod, from.SecretKeyRef, src)
	case from.FileKeyRef != nil && src.File != nil:
		v, found, err := src.File(from.FileKeyRef)
		if err == nil && !found && !yes(from.FileKeyRef.Optional) {
			err = fmt.Errorf("environment variable key %q not found in file %q", from.FileKeyRef.Key, from.FileKeyRef.Path)
		}
		return v, found && err == nil, err
	}
	return "", false, fmt.Errorf("environment variable %s: its valueFrom names no source that is known", e.Name)
}

func configMapKey(pod *corev1.Pod, ref *corev1.ConfigMapKeySelector, src Source) (string, bool, error) {
	cm, err := src.ConfigMap(ref.Name)
	if err != nil {
		if src.NotFound(err) && yes(ref.Optional) {
			return "", false, nil
		}
		return "", false, err
	}
	v, ok := cm.Data[ref.Key]
	if !ok && !yes(ref.Optional) {
		return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, pod.Namespace, ref.Name)
	}
	return v, ok, nil
}

func secretKey(pod *corev1.Pod, ref *corev1.SecretKeySelector, src Source) (string, bool, error) {
	s, err := src.Secret(ref.Name)
	if err != nil {
		if src.NotFound(err) && yes(ref.Optional) {
			return "", false, nil
		}
		return "", false, err
	}
	v, ok := s.Data[ref.Key]
	if !ok && !yes(ref.Optional) {
		return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, pod.Namespace, ref.Name)
	}
	return string(v), ok, nil
}

func yes(b *bool) bool { return b != nil && *b }

func validName(n string) bool { return n != "" && !strings.ContainsAny(n, "=\x00") }

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
