package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// TestAdmissionPolicies: a policy is in force soon after its binding is written, and no longer than that; what one policy changes
// another judges.
func TestAdmissionPolicies(t *testing.T) {
	s, b, url := guarded(t)
	ctx, c := t.Context(), client.New(url, s.InProcess(b.Admin.TLS), "test/1")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	group := admissionregistrationv1.SchemeGroupVersion
	checks := client.Of(c, client.Kind[*admissionregistrationv1.ValidatingAdmissionPolicy]{GroupVersion: group, Kind: "ValidatingAdmissionPolicy", Resource: "validatingadmissionpolicies"})
	checkBindings := client.Of(c, client.Kind[*admissionregistrationv1.ValidatingAdmissionPolicyBinding]{GroupVersion: group, Kind: "ValidatingAdmissionPolicyBinding", Resource: "validatingadmissionpolicybindings"})
	changes := client.Of(c, client.Kind[*admissionregistrationv1.MutatingAdmissionPolicy]{GroupVersion: group, Kind: "MutatingAdmissionPolicy", Resource: "mutatingadmissionpolicies"})
	changeBindings := client.Of(c, client.Kind[*admissionregistrationv1.MutatingAdmissionPolicyBinding]{GroupVersion: group, Kind: "MutatingAdmissionPolicyBinding", Resource: "mutatingadmissionpolicybindings"})
	configMaps := client.Of(c, client.ConfigMaps)
	all := &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{"*"}, Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}}}}}
	small := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"size": "1"}}
	}
	_, err := checks.Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "large"}, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: all, Validations: []admissionregistrationv1.Validation{{Expression: "request.operation == 'DELETE' || int(object.data.size) > 1", Message: "too small"}}}})
	must(err)
	_, err = configMaps.Create(ctx, small("before"))
	must(err)
	_, err = checkBindings.Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "everywhere"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "large", ValidationActions: []admissionregistrationv1.ValidationAction{"Deny"}}})
	must(err)
	tries := 0
	soon := func(what string, done func(made *corev1.ConfigMap, err error) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
			tries++
			made, err := configMaps.Create(ctx, small(fmt.Sprint("tried-", tries)))
			if done(made, err) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v %v", what, made, err)
			}
		}
	}
	soon("refused", func(_ *corev1.ConfigMap, err error) bool {
		return apierrors.IsInvalid(err) && strings.Contains(err.Error(), `" is forbidden: ValidatingAdmissionPolicy 'large' with binding 'everywhere' denied request: too small`)
	})
	must(configMaps.Delete(ctx, "default", "before", metav1.DeleteOptions{}))

	_, err = changes.Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "grow"}, Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
		MatchConstraints: all, ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy, Mutations: []admissionregistrationv1.Mutation{{PatchType: admissionregistrationv1.PatchTypeJSONPatch,
			JSONPatch: &admissionregistrationv1.JSONPatch{Expression: "[JSONPatch{op: 'replace', path: '/data/size', value: '2'}]"}}}}})
	must(err)
	_, err = changeBindings.Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "everywhere"},
		Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "grow"}})
	must(err)
	soon("changed", func(made *corev1.ConfigMap, err error) bool { return err == nil && made.Data["size"] == "2" })
	must(changeBindings.Delete(ctx, "", "everywhere", metav1.DeleteOptions{}))
	must(checkBindings.Delete(ctx, "", "everywhere", metav1.DeleteOptions{}))
	soon("free", func(made *corev1.ConfigMap, err error) bool { return err == nil && made.Data["size"] == "1" })
}
