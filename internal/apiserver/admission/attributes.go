package admission

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Operation is what a request does to its object.
type Operation string

// The operations.
const (
	Create  Operation = "CREATE"
	Update  Operation = "UPDATE"
	Delete  Operation = "DELETE"
	Connect Operation = "CONNECT"
)

// Attributes describe one write.
type Attributes struct {
	User        user.Info
	Operation   Operation
	Kind        schema.GroupVersionKind     // of Object; for a subresource the kind that was sent, e.g. Binding
	Resource    schema.GroupVersionResource // as requested
	Subresource string
	Namespace   string
	Name        string         // may be empty on create with generateName
	Object      runtime.Object // nil on delete; changed in place by Admit
	OldObject   runtime.Object // nil on create; shared, not to be changed
	Options     runtime.Object // *metav1.CreateOptions, UpdateOptions, PatchOptions or DeleteOptions
	DryRun      bool
	Warnings    []string // filled by plugins, for the Warning header

	changed bool // a policy or a webhook has changed Object
	again   bool // the plugins run once more for that
}

func (a *Attributes) warn(format string, args ...any) {
	a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
}

// is says whether the write goes to resource gr itself or to one of its subresources subs.
func (a *Attributes) is(gr schema.GroupResource, subs ...string) bool {
	if a.Resource.GroupResource() != gr {
		return false
	}
	if len(subs) == 0 {
		return a.Subresource == ""
	}
	for _, s := range subs {
		if a.Subresource == s {
			return true
		}
	}
	return false
}

// name is what an error calls the object.
func (a *Attributes) name() string {
	if a.Name != "" {
		return a.Name
	}
	if a.Object != nil {
		if m, err := meta.Accessor(a.Object); err == nil {
			if m.GetName() != "" {
				return m.GetName()
			}
			if m.GetGenerateName() != "" {
				return m.GetGenerateName()
			}
		}
	}
	return "Unknown"
}

// forbid is the refusal of the write.
func (a *Attributes) forbid(format string, args ...any) *apierrors.StatusError {
	return a.forbidden(fmt.Errorf(format, args...))
}

// forbidden wraps err into the refusal of the write; one that is a refusal already stays as it is.
func (a *Attributes) forbidden(err error) *apierrors.StatusError {
	var st *apierrors.StatusError
	if apierrors.IsForbidden(err) && errors.As(err, &st) {
		return st
	}
	return apierrors.NewForbidden(a.Resource.GroupResource(), a.name(), err)
}

// object and old return the objects as T; ok is false where there is none or it is of another type.
func object[T runtime.Object](a *Attributes) (T, bool) { t, ok := a.Object.(T); return t, ok }
func old[T runtime.Object](a *Attributes) (T, bool)    { t, ok := a.OldObject.(T); return t, ok }

// goingAway says whether the object that is written is already marked for deletion.
func goingAway(a *Attributes) bool {
	if a.OldObject == nil {
		return false
	}
	m, err := meta.Accessor(a.OldObject)
	return err == nil && m.GetDeletionTimestamp() != nil
}
