package apiserver

import (
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/cache"
)

// picked is which objects of a kind a request means.
type picked struct {
	prefix string // of their keys
	labels labels.Selector
	fields fields.Selector
	// one is the whole key where the selectors allow only one name.
	one string
	// index and value are a field of the cache's index, where the selectors ask for one.
	index, value string
}

// podIndexes are the fields by which pods are found without a look at all of them; the first is the one that chooses most.
var podIndexes = []string{"spec.nodeName", "status.podIP"}

// selectionOf reads the URL and the selectors.
func (c *call) selectionOf(o *internalversion.ListOptions) picked {
	s := picked{prefix: c.res.Key(c.info.Namespace, ""), labels: o.LabelSelector, fields: o.FieldSelector}
	if s.labels != nil && s.labels.Empty() {
		s.labels = nil
	}
	if s.fields != nil && s.fields.Empty() {
		s.fields = nil
	}
	if s.fields == nil {
		return s
	}
	if name, ok := s.fields.RequiresExactMatch("metadata.name"); ok && name != "" && (!c.res.Namespaced || c.info.Namespace != "") {
		s.one = c.res.Key(c.info.Namespace, name)
	}
	if c.res.Prefix == "/registry/pods" {
		for _, field := range podIndexes {
			if value, ok := s.fields.RequiresExactMatch(field); ok {
				s.index, s.value = field, value
				break
			}
		}
	}
	return s
}

// all says whether there are no selectors.
func (s *picked) all() bool { return s.labels == nil && s.fields == nil }

// matches says whether o, whose key has the prefix, belongs to the selection.
func (s *picked) matches(o *cache.Object) bool {
	return (s.labels == nil || s.labels.Matches(o.Labels)) && (s.fields == nil || s.fields.Matches(objectFields{o}))
}

// filter is matches as a watch wants it: nil where everything matches.
func (s *picked) filter() func(*cache.Object) bool {
	if s.all() {
		return nil
	}
	return s.matches
}

// each calls f with the selected objects of a snapshot whose key is not less than from, in order, until it returns false.
func (s *picked) each(snap *cache.Snapshot, from string, f func(*cache.Object) bool) {
	visit := func(o *cache.Object) bool { return !s.matches(o) || f(o) }
	if s.all() {
		visit = f
	}
	switch {
	case s.one != "":
		if o, ok := snap.Get(s.one); ok && o.Key >= from {
			visit(o)
		}
	case s.index != "" && snap.ByField(s.index, s.value, s.prefix, from, visit):
	default:
		snap.AscendPrefix(s.prefix, from, visit)
	}
}

// objectFields shows an object's selectable fields to a selector.
type objectFields struct{ o *cache.Object }

func (f objectFields) Has(name string) bool {
	switch name {
	case "metadata.name", "metadata.namespace":
		return true
	}
	return f.o.Fields.Has(name)
}

func (f objectFields) Get(name string) string {
	switch name {
	case "metadata.name":
		return f.o.Name
	case "metadata.namespace":
		return f.o.Namespace
	}
	return f.o.Fields.Get(name)
}
