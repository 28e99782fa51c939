package api

import (
	"time"

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
	User        authenticationv1.UserInfo
	// Now is the time of the write. UID is given to a new object.
	Now metav1.Time
	UID types.UID
	// Random returns the suffix of a generated name: five lower-case characters.
	Random func() string
	// NamespaceOf reads a namespace for the few rules that look at its labels; nil reads as "without labels".
	NamespaceOf func(name string) (*corev1.Namespace, error)
}

// Orphaning is what happens to an object's dependents when a delete request does not say.
type Orphaning int

// The default is to delete them in the background.
const (
	DeleteDependents Orphaning = iota
	OrphanDependents
	NoDependents // garbage collection does not apply (events)
)

// Strategy holds the rules of one kind, or of one of its subresources, as functions on the storage type. Any of them
// may be nil. Callers use BeforeCreate, BeforeUpdate and BeforeDelete, which put these into upstream's order.
type Strategy struct {
	// PrepareForCreate clears what users may not set and fills what the server sets (status, generation).
	PrepareForCreate func(r *Request, obj Object)
	// PrepareForUpdate keeps what this path may not change and bumps the generation.
	PrepareForUpdate func(r *Request, obj, old Object)
	Validate         func(r *Request, obj Object) field.ErrorList
	ValidateUpdate   func(r *Request, obj, old Object) field.ErrorList
	// Warnings; old is nil on create. The strings go into Warning headers.
	Warnings func(r *Request, obj, old Object) []string
	// Canonicalize runs last, on valid objects.
	Canonicalize func(obj Object)

	// AllowCreateOnUpdate lets PUT create the object.
	AllowCreateOnUpdate bool
	// RequireResourceVersion refuses updates without metadata.resourceVersion.
	RequireResourceVersion bool

	// Graceful decides whether deletion of obj waits for its owner on the node, and sets o.GracePeriodSeconds. nil: never.
	Graceful func(obj Object, o *metav1.DeleteOptions, now time.Time) bool
	// Orphaning is the default for dependents.
	Orphaning Orphaning

	// ResetFields lists, for each API version ("apps/v1"), the fields that this path ignores, so that field management
	// does not record them: "status", "metadata.deletionTimestamp". The key "*" means every version.
	ResetFields map[string][]string
}

// AllVersions is the key of Strategy.ResetFields that holds for every version of the kind.
const AllVersions = "*"

// Reset returns the fields that this path ignores in version gv.
func (s *Strategy) Reset(gv schema.GroupVersion) []string {
	if s == nil {
		return nil
	}
	if f, ok := s.ResetFields[gv.String()]; ok {
		return f
	}
	return s.ResetFields[AllVersions]
}
