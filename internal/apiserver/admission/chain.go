package admission

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Operation is what a request does to its object.
type Operation string

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
}

// Objects reads the live state. Both methods return shared objects in their stored version, not to be changed; Get's error
// satisfies apierrors.IsNotFound where there is none. Namespace "" lists all.
type Objects interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
	List(ctx context.Context, gr schema.GroupResource, namespace string) ([]runtime.Object, error)
}

// Config is the chain's surroundings.
type Config struct {
	Objects    Objects
	Authorizer authorizer.UnconditionalAuthorizer
	// WriteQuotaStatus stores q's status where q.ResourceVersion is still current, else returns an error for which
	// apierrors.IsConflict holds.
	WriteQuotaStatus func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error)
	// Escalation checks writes of RBAC objects; authz.Authorizer is one.
	Escalation Escalation
	Log        *slog.Logger
}

// Escalation refuses grants that the user does not hold.
type Escalation interface {
	ConfirmNoEscalation(ctx context.Context, u user.Info, role runtime.Object) error
	ConfirmBind(ctx context.Context, u user.Info, binding runtime.Object) error
}

// Chain is the ordered list of plugins.
type Chain struct{ c Config }

// New returns the chain of all plugins.
func New(c Config) *Chain { return &Chain{c} }

// Handles says whether any plugin looks at such a write, so that a caller may skip work that only admission needs.
func (c *Chain) Handles(op Operation, gr schema.GroupResource, subresource string) bool { return true }

// Admit runs the mutating plugins. Errors are API status errors.
func (c *Chain) Admit(ctx context.Context, a *Attributes) error { return nil }

// Validate runs the validating plugins. Errors are API status errors.
func (c *Chain) Validate(ctx context.Context, a *Attributes) error { return nil }
