package apiserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestFurtherRights are rules of kinds that ask what else the user may do: the request reaches the kind, the further
// right is refused and then granted.
func TestFurtherRights(t *testing.T) {
	var granted atomic.Bool
	var asked atomic.Value
	s := apiservertest.Start(t, func(c *apiserver.Config) {
		c.Secure = func(*apiserver.Objects) (apiserver.Security, error) {
			return apiserver.Security{
				Authenticator: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
					return &authenticator.Response{User: &user.DefaultInfo{Name: "ann"}}, true, nil
				}),
				Authorizer: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
					if a.GetPath() != "" || granted.Load() {
						return authorizer.DecisionAllow, "", nil
					}
					asked.Store(strings.Join([]string{a.GetVerb(), a.GetAPIGroup(), a.GetResource(), a.GetSubresource(), a.GetNamespace(), a.GetName()}, "|"))
					return authorizer.DecisionNoOpinion, "no rule", nil
				}),
			}, nil
		}
	})
	const admission, claims = "/apis/admissionregistration.k8s.io/v1/", "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
	policy := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"p"},"spec":{
		"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},"validations":[{"expression":"true"}],
		"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["pods"]}]}}}`
	binding := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"b"},"spec":{
		"policyName":"p","validationActions":["Deny"],"paramRef":{"name":"conf","namespace":"default","parameterNotFoundAction":"Deny"}}}`
	claim := `{"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaim","metadata":{"name":"c"},"spec":{}}`
	if a := do(t, s, "POST", claims, claim); a.code != 201 {
		t.Fatal(a.body)
	}
	for _, c := range []struct{ name, method, path, body, header, message, asked string }{
		{"policy with parameters", "POST", admission + "validatingadmissionpolicies", policy, "application/json",
			`user ann must have "get" permission on all objects of the referenced paramKind`, "get||configmaps||*|*"},
		{"binding with parameters", "POST", admission + "validatingadmissionpolicybindings", binding, "application/json",
			`user ann does not have "get" permission on the object referenced by paramRef`, "get||configmaps||default|conf"},
		{"device allocation", "PATCH", claims + "/c/status", `{"status":{"allocation":{"devices":{}}}}`, mergePatch,
			`changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission`, "patch|resource.k8s.io|resourceclaims|binding||"},
	} {
		t.Run(c.name, func(t *testing.T) {
			granted.Store(false)
			a := do(t, s, c.method, c.path, c.body, "Content-Type", c.header)
			if a.code != 422 || !strings.Contains(a.status(t).Message, c.message) || asked.Load() != c.asked {
				t.Fatalf("%d %s, asked %v", a.code, a.body, asked.Load())
			}
			granted.Store(true)
			if a := do(t, s, c.method, c.path, c.body, "Content-Type", c.header); a.code/100 != 2 {
				t.Fatalf("granted: %d %s", a.code, a.body)
			}
		})
	}
}
