package ownership

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Object is an object of a Go type of the API, by pointer.
type Object interface {
	runtime.Object
	metav1.Object
}

// Kind keeps the record of who owns which fields (metadata.managedFields) for the objects of one kind, as written through
// one path: the object itself or a subresource. It does what the library does, to the byte, for what nearly all writes
// are: objects in the kind's only version, whose record is as this program writes it. For all others it says no, before it
// has changed anything, and the library has to be asked.
//
// It is faster because it knows most sets of fields already and because it lets the library compare only the parts of the
// two states that differ at all.
type Kind struct {
	// Type of the kind in the schema.
	Type typed.ParseableType
	// Name and Version of the kind, as in kind and apiVersion.
	Name, Version string
	// Opaque kinds (see there) are updated here, but not applied.
	Opaque bool
	// Subresource that is written through, "" for the object itself.
	Subresource string
	// Reset leaves out what nobody comes to own by writing through this path; nil leaves out nothing. Unread are whole
	// fields of the object that it leaves out.
	Reset  fieldpath.Filter
	Unread []string
	// Sets are shared by all kinds.
	Sets *Sets
}

// never are the fields that nobody owns, whoever wrote them.
var never = fieldpath.NewSet(
	fieldpath.MakePathOrDie("apiVersion"),
	fieldpath.MakePathOrDie("kind"),
	fieldpath.MakePathOrDie("metadata"),
	fieldpath.MakePathOrDie("metadata", "name"),
	fieldpath.MakePathOrDie("metadata", "namespace"),
	fieldpath.MakePathOrDie("metadata", "creationTimestamp"),
	fieldpath.MakePathOrDie("metadata", "selfLink"),
	fieldpath.MakePathOrDie("metadata", "uid"),
	fieldpath.MakePathOrDie("metadata", "clusterName"),
	fieldpath.MakePathOrDie("metadata", "generation"),
	fieldpath.MakePathOrDie("metadata", "managedFields"),
	fieldpath.MakePathOrDie("metadata", "resourceVersion"),
)

// typed is an object of a Go type under the schema. Such a type has no field that its schema, made of the same type, has
// not, so it need not be held against it.
func (k *Kind) typed(obj any) (*typed.TypedValue, error) {
	v, err := value.NewValueReflect(obj)
	if err != nil {
		return nil, err
	}
	return typed.AsTypedUnvalidated(v, k.Type.Schema, k.Type.TypeRef), nil
}

// change is what one write does to the fields of an object.
type change struct {
	removed, set *fieldpath.Set // set: added or changed
}

// between is the change from one state to another.
func (k *Kind) between(old, next *typed.TypedValue) (change, error) {
	c, err := old.Compare(next)
	if err != nil {
		return change{}, err
	}
	c = c.FilterFields(k.Reset)
	return change{c.Removed, c.Modified.Union(c.Added)}, nil
}
