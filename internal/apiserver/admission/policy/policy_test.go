package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver/admission/admissiontest"
)

type world = admissiontest.World

// judge allows whom it names.
type judge string

func (j judge) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == string(j) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

var deployments = appsv1.SchemeGroupVersion.WithResource("deployments")

func deployment(replicas int32, labels ...string) *appsv1.Deployment {
	d := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", Labels: map[string]string{}},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}}}
	for _, l := range labels {
		d.Labels[l] = "x"
	}
	return d
}

func of(op admission.Operation, obj, old runtime.Object) admission.Attributes {
	return admission.NewAttributesRecord(obj, old, appsv1.SchemeGroupVersion.WithKind("Deployment"), "a", "web", deployments, "", op, nil, false, &user.DefaultInfo{Name: "jane"})
}

func everyDeployment() *admissionregistrationv1.MatchResources {
	return &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE"},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}}}}}}
}

func namespaceA() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"tier": "gold"}}}
}

func TestMatches(t *testing.T) {
	equivalent, exact, cluster := admissionregistrationv1.Equivalent, admissionregistrationv1.Exact, admissionregistrationv1.ClusterScope
	rules := func(f func(r *admissionregistrationv1.NamedRuleWithOperations)) func(*admissionregistrationv1.MatchResources) {
		return func(m *admissionregistrationv1.MatchResources) { f(&m.ResourceRules[0]) }
	}
	label := func(k, v string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{k: v}}
	}
	scaler := schema.GroupVersionResource{Group: "autoscaling", Version: "v1", Resource: "horizontalpodautoscalers"}
	for _, c := range []struct {
		what   string
		change func(m *admissionregistrationv1.MatchResources)
		want   bool
	}{
		{"the rule", nil, true},
		{"another group", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.APIGroups = []string{"batch"} }), false},
		{"any of all", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) {
			r.APIGroups, r.APIVersions, r.Resources, r.Operations = []string{"*"}, []string{"*"}, []string{"*/*"}, []admissionregistrationv1.OperationType{"*"}
		}), true},
		{"another operation", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.Operations = r.Operations[1:] }), false},
		{"a subresource", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.Resources = []string{"deployments/status"} }), false},
		{"its name", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.ResourceNames = []string{"web"} }), true},
		{"another name", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.ResourceNames = []string{"db"} }), false},
		{"cluster scope", rules(func(r *admissionregistrationv1.NamedRuleWithOperations) { r.Scope = &cluster }), false},
		{"excluded", func(m *admissionregistrationv1.MatchResources) { m.ExcludeResourceRules = m.ResourceRules }, false},
		{"its namespace", func(m *admissionregistrationv1.MatchResources) { m.NamespaceSelector = label("tier", "gold") }, true},
		{"another namespace", func(m *admissionregistrationv1.MatchResources) { m.NamespaceSelector = label("tier", "tin") }, false},
		{"its label", func(m *admissionregistrationv1.MatchResources) { m.ObjectSelector = label("blue", "x") }, true},
		{"another label", func(m *admissionregistrationv1.MatchResources) { m.ObjectSelector = label("red", "x") }, false},
	} {
		m := everyDeployment()
		if c.change != nil {
			c.change(m)
		}
		w := &write{Attributes: of(admission.Create, deployment(1, "blue"), nil), e: New(world{corev1.Resource("namespaces"): {namespaceA()}}, nil), ctx: t.Context()}
		if _, ok, err := w.matches(m); ok != c.want || err != nil {
			t.Errorf("%s: %v %v", c.what, ok, err)
		}
	}
	for policy, want := range map[*admissionregistrationv1.MatchPolicyType]bool{&exact: false, &equivalent: true, nil: false} {
		m := everyDeployment()
		m.MatchPolicy, m.ResourceRules[0].APIGroups, m.ResourceRules[0].APIVersions, m.ResourceRules[0].Resources = policy, []string{"autoscaling"}, []string{"v2"}, []string{"horizontalpodautoscalers"}
		w := &write{Attributes: admission.NewAttributesRecord(nil, nil, scaler.GroupVersion().WithKind("HorizontalPodAutoscaler"), "a", "x", scaler, "", admission.Create, nil, false, nil), e: New(world{}, nil), ctx: t.Context()}
		if got, ok, err := w.matches(m); ok != want || err != nil || ok && got.kind.Version != "v2" {
			t.Errorf("another version: %v %v %v", got, ok, err)
		}
	}
}

func TestValidate(t *testing.T) {
	forbidden, ignore, deny, allow := metav1.StatusReasonForbidden, admissionregistrationv1.Ignore, admissionregistrationv1.DenyAction, admissionregistrationv1.AllowAction
	type policyOf = admissionregistrationv1.ValidatingAdmissionPolicy
	type bindingOf = admissionregistrationv1.ValidatingAdmissionPolicyBinding
	rule := func(expression string) admissionregistrationv1.Validation {
		return admissionregistrationv1.Validation{Expression: expression}
	}
	limits := func(ref admissionregistrationv1.ParamRef) func(*policyOf, *bindingOf) {
		return func(p *policyOf, b *bindingOf) {
			p.Spec.ParamKind = &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
			p.Spec.Validations = []admissionregistrationv1.Validation{rule("params == null || object.spec.replicas <= int(params.data.most)")}
			b.Spec.ParamRef = &ref
		}
	}
	const prefix = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
	for _, c := range []struct {
		what    string
		change  func(p *policyOf, b *bindingOf)
		want    string // the refusal
		warning string
		reason  metav1.StatusReason
	}{
		{"holds", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("object.spec.replicas == 3"))
		}, "", "", ""},
		{"does not", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("object.spec.replicas < 3"))
		}, prefix + "failed expression: object.spec.replicas < 3", "", metav1.StatusReasonInvalid},
		{"own words and reason", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, admissionregistrationv1.Validation{Expression: "false", Message: "no ", Reason: &forbidden})
		}, prefix + "no", "", forbidden},
		{"made words", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, admissionregistrationv1.Validation{Expression: "false", Message: "no", MessageExpression: "'has ' + string(object.spec.replicas)"})
		}, prefix + "has 3", "", ""},
		{"variables", func(p *policyOf, _ *bindingOf) {
			p.Spec.Variables = []admissionregistrationv1.Variable{{Name: "n", Expression: "object.spec.replicas"}, {Name: "odd", Expression: "variables.n % 2 == 1"}}
			p.Spec.Validations = append(p.Spec.Validations, rule("!variables.odd"))
		}, prefix + "failed expression: !variables.odd", "", ""},
		{"a condition not met", func(p *policyOf, _ *bindingOf) {
			p.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "john", Expression: "request.userInfo.username == 'john'"}}
			p.Spec.Validations = append(p.Spec.Validations, rule("false"))
		}, "", "", ""},
		{"who may", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("authorizer.group('').resource('pods').check('list').allowed()"))
		}, "", "", ""},
		{"the namespace", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("namespaceObject.metadata.labels.tier == 'gold'"))
		}, "", "", ""},
		{"fails while it is evaluated", func(p *policyOf, _ *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("object.metadata.annotations.x == 'y'"))
		}, prefix + "expression 'object.metadata.annotations.x == 'y'' resulted in error: no such key: annotations", "", ""},
		{"failures ignored", func(p *policyOf, _ *bindingOf) {
			p.Spec.FailurePolicy = &ignore
			p.Spec.Validations = append(p.Spec.Validations, rule("object.metadata.annotations.x == 'y'"))
		}, "", "", ""},
		{"warns", func(p *policyOf, b *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("false"))
			b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{"Warn", "Audit"}
		}, "", "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: false", ""},
		{"another binding", func(p *policyOf, b *bindingOf) {
			p.Spec.Validations = append(p.Spec.Validations, rule("false"))
			b.Spec.MatchResources = &admissionregistrationv1.MatchResources{ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"red": "x"}}}
		}, "", "", ""},
		{"a param by name", limits(admissionregistrationv1.ParamRef{Name: "small", ParameterNotFoundAction: &deny}), prefix + "failed expression: params == null || object.spec.replicas <= int(params.data.most)", "", ""},
		{"each of its params", limits(admissionregistrationv1.ParamRef{Selector: &metav1.LabelSelector{}}), prefix + "failed expression: params == null || object.spec.replicas <= int(params.data.most)", "", ""},
		{"a param that lets it pass", limits(admissionregistrationv1.ParamRef{Name: "large"}), "", "", ""},
		{"no param", limits(admissionregistrationv1.ParamRef{Name: "none", ParameterNotFoundAction: &allow}), "", "", ""},
		{"no param, which it wants", limits(admissionregistrationv1.ParamRef{Name: "none", ParameterNotFoundAction: &deny}), prefix + "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction", "", ""},
		{"no such kind", func(p *policyOf, _ *bindingOf) {
			p.Spec.ParamKind = &admissionregistrationv1.ParamKind{APIVersion: "example.com/v1", Kind: "Limit"}
		}, prefix + "failed to configure binding: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'", "", ""},
		{"an annotation that fails", func(p *policyOf, _ *bindingOf) {
			p.Spec.AuditAnnotations = []admissionregistrationv1.AuditAnnotation{{Key: "k", ValueExpression: "string(object.metadata.annotations.x)"}}
		}, prefix + "expression 'string(object.metadata.annotations.x)' resulted in error: no such key: annotations", "", ""},
	} {
		p := &policyOf{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "p", Generation: 1}, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{MatchConstraints: everyDeployment()}}
		b := &bindingOf{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "p", ValidationActions: []admissionregistrationv1.ValidationAction{"Deny"}}}
		c.change(p, b)
		param := func(name, most string) *corev1.ConfigMap {
			return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Data: map[string]string{"most": most}}
		}
		e := New(world{validatingPolicies: {p}, validatingBindings: {b}, corev1.Resource("namespaces"): {namespaceA()}, corev1.Resource("configmaps"): {param("large", "10"), param("small", "2")}}, judge("jane"))
		warnings, err := e.Validate(t.Context(), of(admission.Create, deployment(3), nil))
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %v", c.what, err)
		}
		if strings.Join(warnings, "\n") != c.warning {
			t.Errorf("%s: warnings %q", c.what, warnings)
		}
		var r *Refusal
		if c.reason != "" && (!errors.As(err, &r) || r.Reason != c.reason) {
			t.Errorf("%s: reason %v", c.what, r)
		}
	}
}

func TestMutate(t *testing.T) {
	steps := func(text string) admissionregistrationv1.Mutation {
		return admissionregistrationv1.Mutation{PatchType: admissionregistrationv1.PatchTypeJSONPatch, JSONPatch: &admissionregistrationv1.JSONPatch{Expression: text}}
	}
	merge := func(text string) admissionregistrationv1.Mutation {
		return admissionregistrationv1.Mutation{PatchType: admissionregistrationv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: text}}
	}
	ignore := admissionregistrationv1.Ignore
	for _, c := range []struct {
		what       string
		policies   [][]admissionregistrationv1.Mutation
		change     func(p *admissionregistrationv1.MutatingAdmissionPolicy)
		replicas   int32
		labels     string
		containers int
		err        string
	}{
		{"nothing", nil, nil, 3, "map[]", 1, ""},
		{"steps", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'test', path: '/spec/replicas', value: 3}, JSONPatch{op: 'replace', path: '/spec/replicas', value: object.spec.replicas + 1}]")}}, nil, 4, "map[]", 1, ""},
		{"a test that fails", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'test', path: '/spec/replicas', value: 9}, JSONPatch{op: 'replace', path: '/spec/replicas', value: 1}]")}}, nil, 3, "map[]", 1, ""},
		{"configuration", [][]admissionregistrationv1.Mutation{{merge("Object{metadata: Object.metadata{labels: {'a': 'b'}}, spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'side', image: 'j'}]}}}}")}}, nil, 3, "map[a:b]", 2, ""},
		{"one after the other", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'replace', path: '/spec/replicas', value: 5}]"), merge("Object{spec: Object.spec{replicas: object.spec.replicas * 2}}")}}, nil, 10, "map[]", 1, ""},
		{"asked again", [][]admissionregistrationv1.Mutation{{merge("Object{metadata: Object.metadata{labels: {'n': string(object.spec.replicas)}}}")}, {merge("Object{spec: Object.spec{replicas: 7}}")}}, nil, 7, "map[n:7]", 1, ""},
		{"an atomic field", [][]admissionregistrationv1.Mutation{{merge("Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'a': 'b'}}}}")}}, nil, 3, "map[]", 1,
			"policy '0' with binding '0' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"},
		{"no such field", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'replace', path: '/spec/nothing/here', value: 1}]")}}, nil, 3, "map[]", 1, "policy '0' with binding '0' denied request: JSON Patch: "},
		{"failures ignored", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'replace', path: '/spec/nothing/here', value: 1}]")}},
			func(p *admissionregistrationv1.MutatingAdmissionPolicy) { p.Spec.FailurePolicy = &ignore }, 3, "map[]", 1, ""},
		{"one failure ignored", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'replace', path: '/spec/nothing/here', value: 1}]"), merge("Object{spec: Object.spec{replicas: 8}}")}},
			func(p *admissionregistrationv1.MutatingAdmissionPolicy) { p.Spec.FailurePolicy = &ignore }, 8, "map[]", 1, ""},
		{"a condition not met", [][]admissionregistrationv1.Mutation{{steps("[JSONPatch{op: 'replace', path: '/spec/replicas', value: 1}]")}}, func(p *admissionregistrationv1.MutatingAdmissionPolicy) {
			p.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "never", Expression: "false"}}
		}, 3, "map[]", 1, ""},
	} {
		w := world{corev1.Resource("namespaces"): {namespaceA()}}
		for i, mutations := range c.policies {
			name := fmt.Sprint(i)
			p := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}, Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				MatchConstraints: everyDeployment(), Mutations: mutations, ReinvocationPolicy: admissionregistrationv1.IfNeededReinvocationPolicy}}
			if c.change != nil {
				c.change(p)
			}
			w[mutatingPolicies] = append(w[mutatingPolicies], p)
			w[mutatingBindings] = append(w[mutatingBindings], &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name}})
		}
		d := deployment(3)
		changed, err := New(w, judge("")).Mutate(t.Context(), of(admission.Create, d, nil), false)
		if err == nil && c.err != "" || err != nil && (c.err == "" || !strings.HasPrefix(err.Error(), c.err)) {
			t.Errorf("%s: %v", c.what, err)
		}
		different := *d.Spec.Replicas != 3 || len(d.Labels) > 0 || len(d.Spec.Template.Spec.Containers) != 1
		if *d.Spec.Replicas != c.replicas || fmt.Sprint(d.Labels) != c.labels || len(d.Spec.Template.Spec.Containers) != c.containers || changed != different {
			t.Errorf("%s: changed %v: %d replicas, labels %v, containers %v", c.what, changed, *d.Spec.Replicas, d.Labels, d.Spec.Template.Spec.Containers)
		}
	}
}

// A policy is compiled once, again when it changes, and forgotten with it.
func TestPrograms(t *testing.T) {
	var s programs[*admissionregistrationv1.ValidatingAdmissionPolicy]
	made := 0
	compile := func(*admissionregistrationv1.ValidatingAdmissionPolicy) (*program, error) {
		made++
		return &program{}, nil
	}
	a := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{UID: "a", Generation: 1}}
	b := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{UID: "b", Generation: 1}}
	all := []*admissionregistrationv1.ValidatingAdmissionPolicy{a, b}
	for range 2 {
		for _, p := range all {
			if _, err := s.of(p, all, compile); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.Generation = 2
	if _, err := s.of(a, all[:1], compile); err != nil || made != 3 || len(s.known) != 1 {
		t.Errorf("%v, compiled %d times, %d known", err, made, len(s.known))
	}
}
