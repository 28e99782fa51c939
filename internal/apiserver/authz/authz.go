package authz

import (
	"context"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
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
type Authorizer struct {
	authorizer.AuthorizerFunc
	c    Config
	rbac *policy
	node *graph
}

var _ interface {
	authorizer.Authorizer
	authorizer.RuleResolver
} = (*Authorizer)(nil)

// New returns an authorizer that knows no roles, bindings or pods yet.
func New(c Config) *Authorizer {
	a := &Authorizer{c: c, rbac: newPolicy(), node: newGraph()}
	a.AuthorizerFunc = a.authorize
	return a
}

// Watched lists the kinds that must be fed to Observe.
func Watched() []schema.GroupResource {
	return []schema.GroupResource{
		rbacv1.Resource("clusterroles"), rbacv1.Resource("clusterrolebindings"), rbacv1.Resource("roles"), rbacv1.Resource("rolebindings"),
		corev1.Resource("pods"), corev1.Resource("persistentvolumes"), storagev1.Resource("volumeattachments"),
		resourcev1.Resource("resourceslices"), certificatesv1.Resource("podcertificaterequests"),
	}
}

// Observe tells of one change of a Watched kind in its preferred version: old is nil for an addition, new for a removal.
// The objects are kept and must not be changed afterwards.
func (a *Authorizer) Observe(old, new runtime.Object) {
	if !a.rbac.observe(old, new) {
		a.node.observe(old, new)
	}
}

// alwaysAllowed are the paths that anyone may GET, so that load balancers can ask how the server is.
var alwaysAllowed = []string{"/healthz", "/livez", "/readyz"}

// authorize decides; a denial is decided twice where the indexes may be behind.
func (a *Authorizer) authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason := a.decide(attrs)
	if decision == authorizer.DecisionAllow || a.c.CaughtUp == nil {
		return decision, reason, nil
	}
	if err := a.c.CaughtUp(ctx); err != nil {
		return decision, reason, nil // the first answer stands
	}
	decision, reason = a.decide(attrs)
	return decision, reason, nil
}

func (a *Authorizer) decide(attrs authorizer.Attributes) (authorizer.Decision, string) {
	u := attrs.GetUser()
	if u == nil {
		return authorizer.DecisionNoOpinion, "no user on request."
	}
	if slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) {
		return authorizer.DecisionAllow, ""
	}
	var reasons []string // each with the name of who denies
	deny := func(who, reason string) {
		if reason != "" {
			reasons = append(reasons, who+": "+reason)
		}
	}
	if node, is := nodeOf(u); is {
		ok, reason := a.node.allows(node, attrs)
		if ok {
			return authorizer.DecisionAllow, ""
		}
		deny("node", reason)
	}
	ok, reason := a.rbac.allows(attrs)
	if ok {
		return authorizer.DecisionAllow, reason
	}
	if !attrs.IsResourceRequest() && slices.Contains(alwaysAllowed, attrs.GetPath()) {
		return authorizer.DecisionAllow, ""
	}
	deny("rbac", reason)
	return authorizer.DecisionNoOpinion, strings.Join(reasons, "\n")
}

// RulesFor lists what user may do in namespace, for SelfSubjectRulesReview. incomplete is true for nodes, whose rights
// depend on single objects.
func (a *Authorizer) RulesFor(_ context.Context, u user.Info, namespace string) (res []authorizer.ResourceRuleInfo, paths []authorizer.NonResourceRuleInfo, incomplete bool, err error) {
	rules, err := a.rbac.rulesFor(u, namespace)
	for _, r := range rules {
		if len(r.Resources) > 0 {
			res = append(res, &authorizer.DefaultResourceRuleInfo{Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames})
		}
		if len(r.NonResourceURLs) > 0 {
			paths = append(paths, &authorizer.DefaultNonResourceRuleInfo{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
		}
	}
	_, incomplete = nodeOf(u)
	return res, paths, incomplete, err
}

var all = []string{"*"}
