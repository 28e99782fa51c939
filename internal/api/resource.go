package api

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is any API object with metadata.
type Object interface {
	runtime.Object
	metav1.Object
}

// Resource is one served resource in one API version. Versions of one kind share Storage, Prefix, Strategy and Fields.
type Resource struct {
	GroupVersion schema.GroupVersion
	Kind         string
	ListKind     string
	Name         string // plural, as in URLs
	Singular     string
	ShortNames   []string
	Categories   []string
	Namespaced   bool
	Verbs        []string // sorted, as discovery shows them
	Subresources []Subresource

	// Storage is the kind that etcd holds. It is empty for virtual kinds (TokenReview ...), which are never stored.
	Storage schema.GroupVersionKind
	// Prefix is the etcd key up to the namespace or name, without slash at the end: "/registry/services/specs".
	Prefix string

	// Strategy is nil for virtual kinds.
	Strategy *Strategy
	// ReturnsDeleted: DELETE answers with the deleted object instead of a Status.
	ReturnsDeleted bool

	// Columns and Row make the table that `kubectl get` shows. Row takes an object of the storage type; it returns one
	// cell a column: string, int64 or bool.
	Columns []metav1.TableColumnDefinition
	Row     func(obj runtime.Object, now time.Time) ([]any, error)
	Plain   bool // the kind describes no columns, and has the usual two
	// RowParts are what Row looks at of the storage type's message, where that is little of it; nil: all.
	RowParts Parts

	// Fields returns what a field selector may name, beside metadata.name and metadata.namespace, of an object of the
	// storage type. It is nil when there is nothing beside these two.
	Fields func(obj runtime.Object) map[string]string
	// FieldLabel renames a selector's field into a key of Fields ("spec.host" to "spec.nodeName") and refuses unknown ones.
	FieldLabel func(label, value string) (string, string, error)

	wire *wireMap // where Fields are in the stored bytes; nil: decode
}

// Subresource is a path below one object, such as status.
type Subresource struct {
	Name string // "status", "scale"
	// Kind is the type of the body, empty when there is none that discovery names.
	Kind schema.GroupVersionKind
	// Verbs as discovery shows them.
	Verbs []string
	// Strategy rules updates through the subresource (status, ephemeralcontainers, resize, approval, finalize). It is nil
	// where the server does something of its own (log, exec, binding, eviction, token, scale, proxy).
	Strategy *Strategy
}

// GVR is the resource's full name.
func (r *Resource) GVR() schema.GroupVersionResource { return r.GroupVersion.WithResource(r.Name) }

// GVK is the kind's full name as this version serves it.
func (r *Resource) GVK() schema.GroupVersionKind { return r.GroupVersion.WithKind(r.Kind) }

// GroupResource is the name used in error messages.
func (r *Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.GroupVersion.Group, Resource: r.Name}
}

// Stored says whether objects of the kind are in etcd.
func (r *Resource) Stored() bool { return r.Prefix != "" }

// Key is the etcd key of one object; ns is ignored for a cluster-scoped kind. An empty name gives the key of the
// namespace with a slash at its end, an empty ns too that of the whole kind: the prefixes to list.
func (r *Resource) Key(ns, name string) string {
	var b strings.Builder
	b.WriteString(r.Prefix)
	b.WriteByte('/')
	if r.Namespaced && ns != "" {
		b.WriteString(ns)
		b.WriteByte('/')
	}
	b.WriteString(name)
	return b.String()
}

// Sub finds a subresource, nil if there is none of that name.
func (r *Resource) Sub(name string) *Subresource {
	for i := range r.Subresources {
		if r.Subresources[i].Name == name {
			return &r.Subresources[i]
		}
	}
	return nil
}

// Can says whether the resource serves verb.
func (r *Resource) Can(verb string) bool {
	for _, v := range r.Verbs {
		if v == verb {
			return true
		}
	}
	return false
}
