package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	rbacv1helpers "k8s.io/kubernetes/pkg/apis/rbac/v1"
)

// policy is RBAC: roles by name, and bindings by whom they name, so that a decision looks only at what concerns its
// user. Everything is kept current by observe; nothing is computed at a decision but the match of rules.
type policy struct {
	mu     sync.RWMutex
	rules  map[roleKey][]rbacv1.PolicyRule
	grants map[subject][]*grant // sorted by name of the binding
}

// roleKey names a Role, or with an empty namespace a ClusterRole.
type roleKey struct{ namespace, name string }

// subject is whom a binding in a namespace ("" for cluster-wide ones) names. A service account is the user it becomes.
type subject struct {
	namespace string
	group     bool
	name      string
}

// grant is one subject of one binding.
type grant struct {
	binding, namespace string
	ref                rbacv1.RoleRef
	subject            rbacv1.Subject
}

func newPolicy() *policy {
	return &policy{rules: map[roleKey][]rbacv1.PolicyRule{}, grants: map[subject][]*grant{}}
}

// observe applies one change; ours is false where the objects are none of RBAC's.
func (p *policy) observe(old, new runtime.Object) (ours bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old != nil {
		ours = p.remove(old)
	}
	if new != nil {
		ours = p.add(new)
	}
	return ours
}

func (p *policy) add(o runtime.Object) bool {
	switch o := o.(type) {
	case *rbacv1.ClusterRole:
		p.rules[roleKey{"", o.Name}] = o.Rules
	case *rbacv1.Role:
		p.rules[roleKey{o.Namespace, o.Name}] = o.Rules
	case *rbacv1.ClusterRoleBinding:
		p.bind(o.Name, "", o.RoleRef, o.Subjects)
	case *rbacv1.RoleBinding:
		p.bind(o.Name, o.Namespace, o.RoleRef, o.Subjects)
	default:
		return false
	}
	return true
}

func (p *policy) remove(o runtime.Object) bool {
	switch o := o.(type) {
	case *rbacv1.ClusterRole:
		delete(p.rules, roleKey{"", o.Name})
	case *rbacv1.Role:
		delete(p.rules, roleKey{o.Namespace, o.Name})
	case *rbacv1.ClusterRoleBinding:
		p.unbind(o.Name, "", o.Subjects)
	case *rbacv1.RoleBinding:
		p.unbind(o.Name, o.Namespace, o.Subjects)
	default:
		return false
	}
	return true
}

func (p *policy) bind(name, namespace string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
	for _, s := range subjects {
		key, ok := subjectKey(s, namespace)
		if !ok {
			continue
		}
		at, found := slices.BinarySearchFunc(p.grants[key], name, byBinding)
		if found {
			continue // the same subject twice
		}
		p.grants[key] = slices.Insert(slices.Clone(p.grants[key]), at, &grant{name, namespace, ref, s})
	}
}

func (p *policy) unbind(name, namespace string, subjects []rbacv1.Subject) {
	for _, s := range subjects {
		key, ok := subjectKey(s, namespace)
		if !ok {
			continue
		}
		at, found := slices.BinarySearchFunc(p.grants[key], name, byBinding)
		if !found {
			continue
		}
		p.grants[key] = slices.Delete(slices.Clone(p.grants[key]), at, at+1)
		if len(p.grants[key]) == 0 {
			delete(p.grants, key)
		}
	}
}

func byBinding(g *grant, name string) int { return strings.Compare(g.binding, name) }

// subjectKey returns under which key a subject of a binding in namespace is found. A service account without a namespace
// means the binding's own.
func subjectKey(s rbacv1.Subject, namespace string) (subject, bool) {
	switch s.Kind {
	case rbacv1.UserKind:
		return subject{namespace, false, s.Name}, true
	case rbacv1.GroupKind:
		return subject{namespace, true, s.Name}, true
	case rbacv1.ServiceAccountKind:
		own := s.Namespace
		if own == "" {
			own = namespace
		}
		return subject{namespace, false, serviceaccount.MakeUsername(own, s.Name)}, own != ""
	}
	return subject{}, false
}

// visit calls f with each rule that holds for u in namespace, cluster-wide ones first, until f returns false. Bindings of
// missing roles are errors, which do not stop it.
func (p *policy) visit(u user.Info, namespace string, f func(*grant, *rbacv1.PolicyRule) bool) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	scopes := []string{""}
	if namespace != "" {
		scopes = append(scopes, namespace)
	}
	var errs []error
	for _, scope := range scopes {
		more, err := p.visitSubject(subject{scope, false, u.GetName()}, f)
		for _, g := range u.GetGroups() {
			if !more {
				break
			}
			var e error
			more, e = p.visitSubject(subject{scope, true, g}, f)
			err = errors.Join(err, e)
		}
		if !more {
			return nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (p *policy) visitSubject(s subject, f func(*grant, *rbacv1.PolicyRule) bool) (more bool, err error) {
	for _, g := range p.grants[s] {
		rules, e := p.rulesOf(g.ref, g.namespace)
		if e != nil {
			err = errors.Join(err, e)
		}
		for i := range rules {
			if !f(g, &rules[i]) {
				return false, nil
			}
		}
	}
	return true, err
}

// rulesOf resolves what a binding in namespace refers to; the caller holds the lock.
func (p *policy) rulesOf(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	key, resource := roleKey{"", ref.Name}, "clusterrole" // in the singular, as upstream
	switch ref.Kind {
	case "ClusterRole":
	case "Role":
		key.namespace, resource = namespace, "role"
	default:
		return nil, fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
	}
	rules, ok := p.rules[key]
	if !ok {
		return nil, apierrors.NewNotFound(rbacv1.Resource(resource), ref.Name)
	}
	return rules, nil
}

// allows decides; reason names the binding that allows, or what went wrong on the way to a denial.
func (p *policy) allows(attrs authorizer.Attributes) (ok bool, reason string) {
	var by *grant
	err := p.visit(attrs.GetUser(), attrs.GetNamespace(), func(g *grant, r *rbacv1.PolicyRule) bool {
		if !ruleAllows(attrs, r) {
			return true
		}
		by = g
		return false
	})
	switch {
	case by != nil:
		return true, "RBAC: allowed by " + by.String()
	case err != nil:
		return false, "RBAC: " + strings.ReplaceAll(err.Error(), "\n", ", ")
	}
	return false, ""
}

func (p *policy) rulesFor(u user.Info, namespace string) (rules []rbacv1.PolicyRule, err error) {
	err = p.visit(u, namespace, func(_ *grant, r *rbacv1.PolicyRule) bool {
		rules = append(rules, *r)
		return true
	})
	return rules, err
}

func ruleAllows(a authorizer.Attributes, r *rbacv1.PolicyRule) bool {
	if !rbacv1helpers.VerbMatches(r, a.GetVerb()) {
		return false
	}
	if !a.IsResourceRequest() {
		return rbacv1helpers.NonResourceURLMatches(r, a.GetPath())
	}
	resource := a.GetResource()
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	return rbacv1helpers.APIGroupMatches(r, a.GetAPIGroup()) && rbacv1helpers.ResourceMatches(r, resource, a.GetSubresource()) &&
		rbacv1helpers.ResourceNameMatches(r, a.GetName())
}

// String describes a grant in upstream's words, which the audit log and `kubectl auth` show.
func (g *grant) String() string {
	who := g.subject.Name
	if g.subject.Kind == rbacv1.ServiceAccountKind {
		ns := g.subject.Namespace
		if ns == "" {
			ns = g.namespace
		}
		who = g.subject.Name + "/" + ns
	}
	kind, name := "ClusterRoleBinding", g.binding
	if g.namespace != "" {
		kind, name = "RoleBinding", g.binding+"/"+g.namespace
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", kind, name, g.ref.Kind, g.ref.Name, g.subject.Kind, who)
}
