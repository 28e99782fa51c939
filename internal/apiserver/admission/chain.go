package admission

import (
	"context"
	"log/slog"
	"net"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver/admission/policy"
	"minato.dev/minato/internal/apiserver/admission/webhook"
)

// Config is the chain's surroundings.
type Config struct {
	Objects    Objects
	Authorizer authorizer.UnconditionalAuthorizer
	// WriteQuotaStatus stores q's status where q.ResourceVersion is still current, else returns an error for which
	// apierrors.IsConflict holds.
	WriteQuotaStatus func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error)
	// Escalation checks writes of RBAC objects; authz.Authorizer is one. Nil: they are not checked.
	Escalation Escalation
	Log        *slog.Logger
	// Dial reaches webhooks; nil: the net package's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Suffix makes n random characters for a name; nil: at random.
	Suffix func(n int) string
}

// Escalation refuses grants that the user does not hold.
type Escalation interface {
	ConfirmNoEscalation(ctx context.Context, u user.Info, role runtime.Object) error
	ConfirmBind(ctx context.Context, u user.Info, binding runtime.Object) error
}

// plugin is one rule of admission. Handles is cheap; Admit and Validate, either of which may be nil, are called only for
// what it says yes to. Admit changes, Validate only refuses.
type plugin struct {
	name     string
	handles  func(op Operation, gr schema.GroupResource, sub string) bool
	admit    func(ctx context.Context, c *Config, a *Attributes) error
	validate func(ctx context.Context, c *Config, a *Attributes) error
}

// plugins are all plugins in upstream's order. ResourceQuota must be the last: it counts what all others let pass.
func plugins(policies *policy.Engine, hooks *webhook.Engine) []plugin {
	return []plugin{
		namespaceLifecycle, limitRanger, serviceAccount, nodeRestriction, taintNodesByCondition, podSecurity(), priority, defaultTolerationSeconds,
		defaultStorageClass, storageObjectInUseProtection, claimResize, podResize, runtimeClass, certificateApproval, certificateSigning,
		certificateSubjectRestriction, defaultIngressClass, podTopologyLabels, escalation, policyChanges(policies), webhookChanges(hooks), policyChecks(policies),
		webhookChecks(hooks), unbuiltKinds, resourceQuota,
	}
}

// Chain is the ordered list of plugins.
type Chain struct {
	c       Config
	plugins []plugin
}

// New returns the chain of all plugins.
func New(c Config) *Chain {
	if c.Suffix == nil {
		c.Suffix = rand.String
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	policies := policy.New(c.Objects, c.Authorizer)
	return &Chain{c: c, plugins: plugins(policies, webhook.New(c.Objects, policies, c.Dial))}
}

// Admit runs the mutating plugins, and once more where a policy or a webhook has changed the object after some of them. Errors are API
// status errors.
func (c *Chain) Admit(ctx context.Context, a *Attributes) error {
	if err := c.admit(ctx, a); err != nil || !a.changed {
		return err
	}
	a.again = true
	return c.admit(ctx, a)
}

func (c *Chain) admit(ctx context.Context, a *Attributes) error {
	for _, p := range c.plugins {
		if p.admit != nil && p.handles(a.Operation, a.Resource.GroupResource(), a.Subresource) {
			if err := p.admit(ctx, &c.c, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// Validate runs the validating plugins. Errors are API status errors.
func (c *Chain) Validate(ctx context.Context, a *Attributes) error {
	for _, p := range c.plugins {
		if p.validate != nil && p.handles(a.Operation, a.Resource.GroupResource(), a.Subresource) {
			if err := p.validate(ctx, &c.c, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// The resources that plugins look at.
var (
	pods            = corev1.Resource("pods")
	nodes           = corev1.Resource("nodes")
	namespaces      = corev1.Resource("namespaces")
	serviceAccounts = corev1.Resource("serviceaccounts")
	claims          = corev1.Resource("persistentvolumeclaims")
	volumes         = corev1.Resource("persistentvolumes")
)

// on is a handles for the operations ops on the resource gr itself.
func on(gr schema.GroupResource, ops ...Operation) func(Operation, schema.GroupResource, string) bool {
	return func(op Operation, r schema.GroupResource, sub string) bool {
		if r != gr || sub != "" {
			return false
		}
		for _, o := range ops {
			if o == op {
				return true
			}
		}
		return false
	}
}
