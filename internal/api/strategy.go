package api

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Request is what a strategy may know of the call that writes an object.
type Request struct {
	// GroupVersion is the version of the request; declarative validation speaks of its fields.
	GroupVersion schema.GroupVersion
	// Namespace is the one in the URL, empty for cluster-scoped kinds.
	Namespace string
	// Subresource in the URL, empty for the object itself.
	Subresource string
	// Verb is the request's: "update", "patch"; empty means update.
	Verb string
	User authenticationv1.UserInfo
	// Now is the time of the write. UID is given to a new object.
	Now metav1.Time
	UID types.UID
	// Random returns the suffix of a generated name: five lower-case characters.
	Random func() string
	// NamespaceOf reads a namespace for the few rules that look at its labels; nil reads as "without labels".
	NamespaceOf func(name string) (*corev1.Namespace, error)
	// Allowed says whether User may also do something else, for the few rules that ask (signing, reading an admission
	// policy's parameters, binding devices); the error says why not. nil refuses.
	Allowed func(Access) error
	// PolicyParams reads spec.paramKind of an admission policy for the rules of its bindings; nil reads as unknown.
	PolicyParams func(resource, policy string) (apiVersion, kind string, ok bool)
}

// Access is an action on a resource, as authorization sees it.
type Access struct{ Verb, Group, Version, Resource, Subresource, Namespace, Name string }

func (r *Request) allowed(a Access) error {
	if r.Allowed == nil {
		return fmt.Errorf("no authorizer to ask about %s %s", a.Verb, a.Resource)
	}
	return r.Allowed(a)
}

// Orphaning is what happens to an object's dependents when a delete request does not say.
type Orphaning int

// The default is to delete them in the background.
const (
	DeleteDependents Orphaning = iota
	OrphanDependents
	NoDependents // garbage collection does not apply (events)
)

// Strategy holds the rules of one kind, or of one of its subresources. The functions get objects of upstream's internal
// type, which its validation speaks, and may change those they prepare. Any of them may be nil. Callers of this package do
// not call them: BeforeCreate, BeforeUpdate and BeforeDelete put them into upstream's order.
type Strategy struct {
	// KeepGenerateName: a name made of generateName is generateName itself.
	KeepGenerateName bool
	// PrepareForCreate clears what users may not set and fills what the server sets (status, generation).
	PrepareForCreate func(r *Request, obj Object)
	// PrepareForUpdate keeps what this path may not change and bumps the generation.
	PrepareForUpdate func(r *Request, obj, old Object)
	Validate         func(ctx context.Context, r *Request, obj Object) field.ErrorList
	ValidateUpdate   func(ctx context.Context, r *Request, obj, old Object) field.ErrorList
	// Warnings; old is nil on create. The strings go into Warning headers.
	Warnings func(ctx context.Context, obj, old Object) []string
	// Canonicalize runs last, on valid objects.
	Canonicalize func(obj Object)
	// Declarative configures the validation that comes from tags on the types; nil is the common case.
	Declarative func(obj, old Object) Declarative

	// AllowCreateOnUpdate lets PUT create the object.
	AllowCreateOnUpdate bool
	// RequireResourceVersion refuses updates without metadata.resourceVersion.
	RequireResourceVersion bool

	// Graceful decides whether deletion of obj waits for its owner on the node, and sets o.GracePeriodSeconds. nil: never.
	Graceful func(obj Object, o *metav1.DeleteOptions) bool
	// Orphaning is the default for dependents.
	Orphaning Orphaning

	// ResetFields are the fields that this path ignores, so that field management does not record them: "status",
	// "metadata.deletionTimestamp". They are the same in every version of a kind.
	ResetFields []string
}

// Declarative is what tag-based validation needs to know beside the objects.
type Declarative struct {
	Options map[string]bool
	Rules   []field.NormalizationRule
}
