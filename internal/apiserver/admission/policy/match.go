package policy

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"minato.dev/minato/internal/api"
)

// target is the form in which a policy looks at a write: that of its rules, which may be another version than the client's.
type target struct {
	resource schema.GroupVersionResource
	kind     schema.GroupVersionKind
}

// matches says whether m means the write, and in which form. m nil means all.
func (w *write) matches(m *admissionregistrationv1.MatchResources) (t target, ok bool, err error) {
	own := target{w.GetResource(), w.GetKind()}
	if m == nil {
		return own, true, nil
	}
	inSpace, spaceErr := w.inSpace(m.NamespaceSelector)
	if !inSpace && spaceErr == nil {
		return t, false, nil
	}
	chosen, choiceErr := w.chosen(m.ObjectSelector)
	if !chosen && choiceErr == nil {
		return t, false, nil
	}
	if _, excluded := ruled(m.ExcludeResourceRules, m.MatchPolicy, w); excluded {
		return t, false, nil
	}
	if t, ok = own, true; len(m.ResourceRules) > 0 {
		t, ok = ruled(m.ResourceRules, m.MatchPolicy, w)
	}
	if !ok {
		return t, false, nil
	}
	if spaceErr == nil {
		spaceErr = choiceErr
	}
	return t, spaceErr == nil, spaceErr // what is wrong with a selector concerns only those whom the rules mean
}

// inSpace says whether the selector means the write's namespace. What is in none is always meant; a Namespace is meant by its
// own labels.
func (w *write) inSpace(s *metav1.LabelSelector) (bool, error) {
	isNamespace := w.GetResource().GroupResource() == schema.GroupResource{Resource: "namespaces"}
	if s == nil || w.GetNamespace() == "" && !isNamespace {
		return true, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || sel.Empty() {
		return err == nil, err
	}
	if op := w.GetOperation(); isNamespace && w.GetSubresource() == "" && (op == admission.Create || op == admission.Update) {
		return matchesLabels(sel, w.GetObject()), nil
	}
	o, err := w.e.objects.Get(w.ctx, schema.GroupResource{Resource: "namespaces"}, "", w.GetNamespace())
	if err != nil {
		return false, err
	}
	return matchesLabels(sel, o), nil
}

// chosen says whether the selector means the new object or the old one.
func (w *write) chosen(s *metav1.LabelSelector) (bool, error) {
	sel, err := metav1.LabelSelectorAsSelector(s)
	if s == nil || err != nil || sel.Empty() {
		return err == nil, err
	}
	return matchesLabels(sel, w.GetObject()) || matchesLabels(sel, w.GetOldObject()), nil
}

func matchesLabels(sel labels.Selector, o runtime.Object) bool {
	if o == nil {
		return false
	}
	m, err := meta.Accessor(o)
	return err == nil && sel.Matches(labels.Set(m.GetLabels()))
}

// ruled finds the first rule that means the write: as it came, else, where the policy is Equivalent, in another version.
func ruled(rules []admissionregistrationv1.NamedRuleWithOperations, policy *admissionregistrationv1.MatchPolicyType, a admission.Attributes) (target, bool) {
	forms := []target{{a.GetResource(), a.GetKind()}}
	if policy != nil && *policy == admissionregistrationv1.Equivalent {
		forms = append(forms, equivalents(a)...)
	}
	for _, f := range forms {
		for i := range rules {
			if means(&rules[i], a, f.resource) {
				return f, true
			}
		}
	}
	return target{}, false
}

// equivalents are the other versions of what is written. A subresource that has a kind of its own has no other.
func equivalents(a admission.Attributes) (out []target) {
	r := api.Find(a.GetResource())
	if r == nil || !r.Stored() || a.GetKind() != r.GVK() {
		return nil
	}
	for _, other := range api.All() {
		if other.Storage == r.Storage && other.Name == r.Name && other.GroupVersion != r.GroupVersion {
			out = append(out, target{other.GVR(), other.GVK()})
		}
	}
	return out
}

func means(rule *admissionregistrationv1.NamedRuleWithOperations, a admission.Attributes, as schema.GroupVersionResource) bool {
	any := func(list []string, s string) bool { return slices.Contains(list, "*") || slices.Contains(list, s) }
	operations := slices.Contains(rule.Operations, admissionregistrationv1.OperationAll) ||
		slices.Contains(rule.Operations, admissionregistrationv1.OperationType(a.GetOperation()))
	return operations && any(rule.APIGroups, as.Group) && any(rule.APIVersions, as.Version) && inScope(rule.Scope, a) &&
		slices.ContainsFunc(rule.Resources, func(text string) bool { return names(text, as.Resource, a.GetSubresource()) }) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName()))
}

// names reads "pods", "pods/log", "*", "*/*", "pods/*" and "*/scale".
func names(text, resource, sub string) bool {
	r, s, _ := strings.Cut(text, "/")
	return (r == "*" || r == resource) && (s == "*" || s == sub)
}

// inScope: a Namespace, whose requests carry its own name as their namespace, is in none.
func inScope(s *admissionregistrationv1.ScopeType, a admission.Attributes) bool {
	if s == nil || *s == admissionregistrationv1.AllScopes {
		return true
	}
	inside := a.GetNamespace() != "" && a.GetResource().GroupResource() != schema.GroupResource{Resource: "namespaces"}
	return inside == (*s == admissionregistrationv1.NamespacedScope)
}
