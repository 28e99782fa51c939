package authz

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Config is the authorizer's surroundings.
type Config struct {
	// CaughtUp blocks until Observe has been told everything that was committed before the call. It is asked only
	// before a denial, so that who has just written a binding, or seen a pod, is never refused by an index that is
	// behind. Nil: denials are not double-checked.
	CaughtUp func(ctx context.Context) error
}

// Authorizer implements authorizer.Authorizer and authorizer.RuleResolver.
type Authorizer struct{ c Config }

// New returns an authorizer that knows no roles, bindings or pods yet.
func New(c Config) *Authorizer { return &Authorizer{c} }

// Watched lists the kinds that must be fed to Observe.
func Watched() []schema.GroupResource { return nil }

// Observe tells of one change of a Watched kind in its stored version: old is nil for an addition, new for a removal.
// The objects are kept and must not be changed afterwards.
func (a *Authorizer) Observe(old, new runtime.Object) {}

// Authorize decides.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}

// RulesFor lists what user may do in namespace, for SelfSubjectRulesReview.
func (a *Authorizer) RulesFor(ctx context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	return nil, nil, false, nil
}

// ConfirmNoEscalation returns an error that lists the missing rights where user does not hold all of rules in namespace
// ("" for a cluster role) and may not "escalate" the role. The caller turns it into Forbidden.
func (a *Authorizer) ConfirmNoEscalation(ctx context.Context, u user.Info, role runtime.Object) error {
	return nil
}

// ConfirmBind does the same for a RoleBinding or ClusterRoleBinding: user must hold the role's rules or may "bind" it.
func (a *Authorizer) ConfirmBind(ctx context.Context, u user.Info, binding runtime.Object) error {
	return nil
}

var _ = rbacv1.PolicyRule{}
