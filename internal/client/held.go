package client

import (
	"fmt"
	"strconv"
	"sync"
	"weak"

	"k8s.io/apimachinery/pkg/labels"
)

// held is one object of a view: whole, where it came over a connection; as a server of this process stores it, where
// that is what the view reads. The latter is decoded when somebody looks, and the decoded form is shared for as long as
// the collector leaves it: readers that come again soon find it, and at rest none of it is kept.
type held[T Object] struct {
	stored Stored // nil: whole is the object
	whole  T

	mu     sync.Mutex
	recent weak.Pointer[decoded[T]]
}

type decoded[T Object] struct{ object T }

// wholly holds an object that is decoded already.
func wholly[T Object](t T) *held[T] {
	t.SetManagedFields(nil)
	return &held[T]{whole: t}
}

// place is where an object is in its kind.
type place struct{ namespace, name string }

func (h *held[T]) place() place {
	if h.stored != nil {
		return place{h.stored.Namespace(), h.stored.Name()}
	}
	return place{h.whole.GetNamespace(), h.whole.GetName()}
}

func (h *held[T]) labels() labels.Labels {
	if h.stored != nil {
		return h.stored.Labels()
	}
	return labels.Set(h.whole.GetLabels())
}

// sameAs says whether both are one object at one revision.
func (h *held[T]) sameAs(other *held[T]) bool { return h.revision() == other.revision() }

func (h *held[T]) revision() string {
	if h.stored != nil {
		return strconv.FormatInt(h.stored.Revision(), 10)
	}
	return h.whole.GetResourceVersion()
}

// get returns the shared object. It fails only for stored bytes that cannot be decoded.
func (h *held[T]) get() (T, error) {
	if h.stored == nil {
		return h.whole, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.recent.Value(); d != nil {
		return d.object, nil
	}
	var none T
	obj, err := h.stored.Decode()
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("object is a %T, not a %T", obj, none)
	}
	d := &decoded[T]{t}
	h.recent = weak.Make(d)
	return t, nil
}
