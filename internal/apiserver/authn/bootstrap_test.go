package authn

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestBootstrapTokens(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	const token = "abcdef.0123456789abcdef"
	for _, x := range []struct {
		name, token string
		change      func(map[string]string)
		groups      string // "": refused
	}{
		{"good", token, nil, "system:bootstrappers system:bootstrappers:x:y system:authenticated"},
		{"without groups", token, func(d map[string]string) { delete(d, "auth-extra-groups") }, "system:bootstrappers system:authenticated"},
		{"no token of this form", "abcdef.0123456789abcde", nil, ""},
		{"unknown", "fedcba.0123456789abcdef", nil, ""},
		{"wrong secret", "abcdef.0123456789abcdeX", nil, ""},
		{"another secret", "abcdef.fedcba9876543210", nil, ""},
		{"for signing only", token, func(d map[string]string) { delete(d, "usage-bootstrap-authentication") }, ""},
		{"to its end", token, func(d map[string]string) { d["expiration"] = "2026-01-02T03:04:06Z" }, "system:bootstrappers system:bootstrappers:x:y system:authenticated"},
		{"ended", token, func(d map[string]string) { d["expiration"] = "2026-01-02T03:04:05Z" }, ""},
		{"an end that nobody can read", token, func(d map[string]string) { d["expiration"] = "soon" }, ""},
		{"another's id", token, func(d map[string]string) { d["token-id"] = "fedcba" }, ""},
		{"groups twice and out of order", token, func(d map[string]string) {
			d["auth-extra-groups"] = "system:bootstrappers:z,system:bootstrappers:a,system:bootstrappers:z"
		}, "system:bootstrappers system:bootstrappers:a system:bootstrappers:z system:authenticated"},
		{"a group without a name", token, func(d map[string]string) { d["auth-extra-groups"] = "system:bootstrappers:a,,system:bootstrappers:z" }, ""},
		{"a group of somebody else's", token, func(d map[string]string) { d["auth-extra-groups"] = "system:masters" }, ""},
		{"another type", token, func(d map[string]string) { d["type"] = "Opaque" }, ""},
	} {
		d := map[string]string{"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:x:y",
			"type": "bootstrap.kubernetes.io/token"}
		if x.change != nil {
			x.change(d)
		}
		s := &corev1.Secret{ObjectMeta: meta("kube-system", "bootstrap-token-abcdef", "u"), Type: corev1.SecretType(d["type"]), Data: map[string][]byte{}}
		for k, v := range d {
			s.Data[k] = []byte(v)
		}
		a := New(Config{Bootstrap: shelf{"secrets/kube-system/bootstrap-token-abcdef": s}, Now: c.now, Anonymous: true})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+x.token)
		resp, ok, err := a.AuthenticateRequest(r)
		switch {
		case ok != (x.groups != ""):
			t.Errorf("%s: %v, %v", x.name, ok, err)
		case !ok && err == nil:
			t.Errorf("%s: refused without an error: it would pass for anonymous", x.name)
		case ok && (resp.User.GetName() != "system:bootstrap:abcdef" || strings.Join(resp.User.GetGroups(), " ") != x.groups):
			t.Errorf("%s: %s in %v", x.name, resp.User.GetName(), resp.User.GetGroups())
		}
	}
}
