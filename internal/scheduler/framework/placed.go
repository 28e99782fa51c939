package framework

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// Placed is a pod that has its node already, as its node's account and other pods see it. A scheduler holds one for each
// pod of the cluster, so it has only what is asked of it, and shares with pods of the same template what it can.
type Placed struct {
	Namespace, Name string
	Started         time.Time // status.startTime, or the creation where no kubelet has seen the pod yet
	Leaving         bool      // on its way out: it counts no longer for where others go
	*Shape
}

// Shape is what the pods of one template have in common. It is immutable and shared.
type Shape struct {
	Labels   labels.Set
	Requests Resources
	NonZero  Resources
	Ports    []HostPort
	Affinity *corev1.Affinity
	Terms    *Terms // of Affinity
	Priority int32
}

// Key is namespace/name.
func (p *Placed) Key() string { return p.Namespace + "/" + p.Name }

func (s *Shape) equal(o *Shape) bool {
	return s.Priority == o.Priority && maps.Equal(s.Labels, o.Labels) && s.Requests.equal(o.Requests) &&
		s.NonZero.equal(o.NonZero) && slices.Equal(s.Ports, o.Ports) && equality.Semantic.DeepEqual(s.Affinity, o.Affinity)
}

// Shapes finds the shape of pods that are like one seen lately. It remembers few, so that nothing has to be forgotten; pods
// of one template mostly come together. The zero value is ready; it is not safe for concurrent use.
type Shapes struct{ lately []*Shape }

const shapesKept = 32

// Place makes p's account.
func (s *Shapes) Place(p *Pod) *Placed {
	key := p.Namespace + "/" + p.Name // one string for both
	out := &Placed{Namespace: key[:len(p.Namespace)], Name: key[len(p.Namespace)+1:], Started: p.CreationTimestamp.Time,
		Leaving: Leaving(p.Pod), Shape: s.of(p)}
	if p.Status.StartTime != nil {
		out.Started = p.Status.StartTime.Time
	}
	return out
}

func (s *Shapes) of(p *Pod) *Shape {
	want := &Shape{Labels: p.Labels, Requests: p.Requests, NonZero: p.NonZero, Ports: p.Ports, Affinity: p.Spec.Affinity, Terms: p.Terms}
	if p.Spec.Priority != nil {
		want.Priority = *p.Spec.Priority
	}
	at := slices.IndexFunc(s.lately, want.equal)
	switch {
	case at >= 0:
		want = s.lately[at]
	case len(s.lately) < shapesKept:
		s.lately = append(s.lately, nil)
		at = len(s.lately) - 1
	default:
		at = len(s.lately) - 1
	}
	copy(s.lately[1:at+1], s.lately[:at])
	s.lately[0] = want
	return want
}
