package authn

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

func tokenRequest(bound *authenticationv1.BoundObjectReference, seconds int64, audiences ...string) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: bound, ExpirationSeconds: &seconds, Audiences: audiences}}
}

func boundTo(kind, name, uid string) *authenticationv1.BoundObjectReference {
	return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name, UID: types.UID(uid)}
}

func readClaims(t *testing.T, token string) *claims {
	t.Helper()
	c, ok := parse(token)
	if !ok {
		t.Fatalf("%q is no token", token)
	}
	var out claims
	if err := json.Unmarshal(c.claims, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestLifetimes is the table of how long tokens live and when they count as stale.
func TestLifetimes(t *testing.T) {
	start := time.Unix(2e9, 0)
	const year = 365 * 24 * 3600
	own := DefaultIssuer
	for _, c := range []struct {
		what        string
		bound       *authenticationv1.BoundObjectReference
		seconds     int64 // 0: not said
		audiences   []string
		life, stale int64 // of the token; stale 0: never
		status      int64
		err         string
	}{
		{"default", nil, 0, nil, 3600, 0, 3600, ""},
		{"least", nil, 600, nil, 600, 0, 600, ""},
		{"too short", nil, 599, nil, 0, 0, 0, "may not specify a duration less than 10 minutes"},
		{"too long", nil, 1<<32 + 1, nil, 0, 0, 0, "may not specify a duration larger than 2^32 seconds"},
		{"a day", nil, 86400, nil, 86400, 0, 86400, ""},
		{"pod's projected token", boundTo("Pod", "p", "p-1"), 3607, nil, year, 3607, 3607, ""},
		{"the same, audience named", boundTo("Pod", "p", "p-1"), 3607, []string{own}, year, 3607, 3607, ""},
		{"pod's token of another length", boundTo("Pod", "p", "p-1"), 3600, nil, 3600, 0, 3600, ""},
		{"pod's token for somebody else", boundTo("Pod", "p", "p-1"), 3607, []string{"vault"}, 3607, 0, 3607, ""},
		{"pod's token for both", boundTo("Pod", "p", "p-1"), 3607, []string{own, "vault"}, 3607, 0, 3607, ""},
		{"3607 without a pod", nil, 3607, nil, 3607, 0, 3607, ""},
	} {
		i := newIssuer(t, objects(), &clock{start})
		req := tokenRequest(c.bound, c.seconds, c.audiences...)
		if c.seconds == 0 {
			req.Spec.ExpirationSeconds = nil
		}
		out, err := i.Issue(context.Background(), "a", "sa", req)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !apierrors.IsInvalid(err) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		got := readClaims(t, out.Status.Token)
		stale := int64(0)
		if got.K8s.WarnAfter != nil {
			stale = time.Time(*got.K8s.WarnAfter).Unix() - start.Unix()
		}
		if life := time.Time(*got.Expiry).Unix() - start.Unix(); life != c.life || stale != c.stale || out.Status.ExpirationTimestamp.Unix()-start.Unix() != c.status {
			t.Errorf("%s: life %d, stale %d, status %v", c.what, life, stale, out.Status.ExpirationTimestamp)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	for _, c := range []struct {
		what string
		name string
		req  *authenticationv1.TokenRequest
		is   func(error) bool
	}{
		{"missing account", "none", tokenRequest(nil, 3600), apierrors.IsNotFound},
		{"missing pod", "sa", tokenRequest(boundTo("Pod", "none", ""), 3600), apierrors.IsNotFound},
		{"another pod of this name", "sa", tokenRequest(boundTo("Pod", "p", "old"), 3600), apierrors.IsConflict},
		{"pod of another account", "sa", tokenRequest(boundTo("Pod", "other", ""), 3600), apierrors.IsBadRequest},
		{"missing secret", "sa", tokenRequest(boundTo("Secret", "none", ""), 3600), apierrors.IsNotFound},
		{"a kind that binds nothing", "sa", tokenRequest(boundTo("ConfigMap", "x", ""), 3600), apierrors.IsBadRequest},
		{"name of another account", "sa", &authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, apierrors.IsInvalid},
		{"uid of an earlier account", "sa", &authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{UID: "old"}}, apierrors.IsConflict},
	} {
		i := newIssuer(t, objects(), &clock{time.Now()})
		if _, err := i.Issue(context.Background(), "a", c.name, c.req); !c.is(err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestBoundTokens issues a token, changes the world, and looks whether it still holds.
func TestBoundTokens(t *testing.T) {
	long := metav1.NewTime(time.Unix(2e9, 0).Add(-time.Hour))
	for _, c := range []struct {
		what   string
		bound  *authenticationv1.BoundObjectReference
		change func(shelf, *clock)
		err    string
	}{
		{"unchanged", boundTo("Pod", "p", ""), func(shelf, *clock) {}, ""},
		{"pod deleted", boundTo("Pod", "p", ""), func(s shelf, _ *clock) { delete(s, "pods/a/p") }, "service account token has been invalidated"},
		{"pod replaced", boundTo("Pod", "p", ""), func(s shelf, _ *clock) { s["pods/a/p"] = &corev1.Pod{ObjectMeta: meta("a", "p", "p-2")} }, "pod UID (p-2) does not match service account pod ref claim (p-1)"},
		{"pod going for an hour", boundTo("Pod", "p", ""), func(s shelf, _ *clock) { s["pods/a/p"].(*corev1.Pod).DeletionTimestamp = &long }, "service account token has been invalidated"},
		{"node of the pod gone", boundTo("Pod", "p", ""), func(s shelf, _ *clock) { delete(s, "nodes//n") }, ""},
		{"node gone", boundTo("Node", "n", ""), func(s shelf, _ *clock) { delete(s, "nodes//n") }, "service account token has been invalidated"},
		{"secret gone", boundTo("Secret", "s", ""), func(s shelf, _ *clock) { delete(s, "secrets/a/s") }, "service account token has been invalidated"},
		{"account gone", nil, func(s shelf, _ *clock) { delete(s, "serviceaccounts/a/sa") }, `serviceaccounts "sa" not found`},
		{"account replaced", nil, func(s shelf, _ *clock) {
			s["serviceaccounts/a/sa"] = &corev1.ServiceAccount{ObjectMeta: meta("a", "sa", "sa-2")}
		}, "service account UID (sa-2) does not match claim (sa-1)"},
		{"expired", nil, func(_ shelf, c *clock) { c.Time = c.Add(62 * time.Minute) }, "service account token has expired"},
		{"within the leeway", nil, func(_ shelf, c *clock) { c.Time = c.Add(60*time.Minute + 30*time.Second) }, ""},
		{"clock turned back", nil, func(_ shelf, c *clock) { c.Time = c.Add(-time.Hour) }, "service account token is not valid yet"},
	} {
		s, now := objects(), &clock{time.Unix(2e9, 0)}
		i := newIssuer(t, s, now)
		out, err := i.Issue(context.Background(), "a", "sa", tokenRequest(c.bound, 3600))
		if err != nil {
			t.Fatal(c.what, err)
		}
		i.checked = newMemory[*checked](rememberedTokens) // a server that has just been started
		c.change(s, now)
		_, ok, err := i.AuthenticateToken(context.Background(), out.Status.Token)
		if c.err == "" && !ok || c.err != "" && (ok || err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v %v", c.what, ok, err)
		}
	}
}

// TestRememberedTokenIsLookedAtAgain: what a deletion takes away is gone ten seconds later.
func TestRememberedTokenIsLookedAtAgain(t *testing.T) {
	s, now := objects(), &clock{time.Unix(2e9, 0)}
	i := newIssuer(t, s, now)
	out, _ := i.Issue(context.Background(), "a", "sa", tokenRequest(boundTo("Pod", "p", ""), 3600))
	check := func(want bool) {
		t.Helper()
		if _, ok, err := i.AuthenticateToken(context.Background(), out.Status.Token); ok != want {
			t.Error(ok, err)
		}
	}
	check(true)
	delete(s, "pods/a/p")
	check(true)
	now.Time = now.Add(11 * time.Second)
	check(false)
}

func TestUserOfBoundToken(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	out, _ := i.Issue(context.Background(), "a", "sa", tokenRequest(boundTo("Pod", "p", ""), 3600))
	r, ok, err := i.AuthenticateToken(context.Background(), out.Status.Token)
	if !ok {
		t.Fatal(err)
	}
	extra := r.User.GetExtra()
	for key, want := range map[string]string{"pod-name": "p", "pod-uid": "p-1", "node-name": "n", "node-uid": "n-1"} {
		if got := extra["authentication.kubernetes.io/"+key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", key, got)
		}
	}
	if id := extra["authentication.kubernetes.io/credential-id"]; len(id) != 1 || !strings.HasPrefix(id[0], "JTI=") {
		t.Error(id)
	}
}

func TestAudiences(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	vault, _ := i.Issue(context.Background(), "a", "sa", tokenRequest(nil, 3600, "vault"))
	if _, ok, err := i.AuthenticateToken(context.Background(), vault.Status.Token); ok || !strings.Contains(err.Error(), "is invalid for the target audiences") {
		t.Error(ok, err)
	}
	ctx := authenticator.WithAudiences(context.Background(), authenticator.Audiences{"vault", "x"})
	if r, ok, err := i.AuthenticateToken(ctx, vault.Status.Token); !ok || len(r.Audiences) != 1 || r.Audiences[0] != "vault" {
		t.Error(ok, err)
	}
}

func TestForgery(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	other := newIssuer(t, objects(), &clock{time.Now()})
	out, _ := i.Issue(context.Background(), "a", "sa", tokenRequest(nil, 3600))
	token := out.Status.Token
	foreign, _ := other.Issue(context.Background(), "a", "sa", tokenRequest(nil, 3600))
	head, rest, _ := strings.Cut(token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	none := b64.EncodeToString([]byte(`{"alg":"none"}`))
	anyKey := b64.EncodeToString([]byte(`{"alg":"ES256"}`))
	changed := b64.EncodeToString([]byte(`{"iss":"` + DefaultIssuer + `","sub":"system:serviceaccount:kube-system:admin"}`))
	for what, s := range map[string]string{"other key": foreign.Status.Token, "no algorithm": none + "." + body + ".", "claims changed": head + "." + changed + "." + sig,
		"cut": token[:len(token)-4], "header changed": anyKey + "." + body + "." + sig, "empty signature": head + "." + body + "."} {
		if _, ok, err := i.AuthenticateToken(context.Background(), s); ok || err == nil {
			t.Errorf("%s: %v %v", what, ok, err)
		}
	}
	for _, s := range []string{"", "a.b.c", "x", "..", `{"a":1}`, b64.EncodeToString([]byte("{}")) + "." + b64.EncodeToString([]byte(`{"iss":"https://elsewhere"}`)) + "."} {
		if _, ok, err := i.AuthenticateToken(context.Background(), s); ok || err != nil {
			t.Errorf("%q is none of ours: %v %v", s, ok, err)
		}
	}
}

func TestLegacyTokens(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(shelf)
		err    string
	}{
		{"good", func(shelf) {}, ""},
		{"secret gone", func(s shelf) { delete(s, "secrets/a/s") }, "Token has been invalidated"},
		{"token replaced", func(s shelf) { s["secrets/a/s"].(*corev1.Secret).Data["token"] = []byte("x") }, "Token does not match server's copy"},
		{"account replaced", func(s shelf) { s["serviceaccounts/a/sa"].(*corev1.ServiceAccount).UID = "sa-2" }, "does not match claim (sa-1)"},
		{"marked invalid", func(s shelf) {
			s["secrets/a/s"].(*corev1.Secret).Labels = map[string]string{InvalidSinceLabel: "2024-01-01"}
		}, "has been marked invalid"},
	} {
		s, used := objects(), 0
		i, err := NewIssuer(IssuerConfig{Key: newKey(t), Objects: s, MarkUsed: func(_ context.Context, _ *corev1.Secret, day string) { used++ }})
		if err != nil {
			t.Fatal(err)
		}
		token, err := i.LegacyToken(s["serviceaccounts/a/sa"].(*corev1.ServiceAccount), s["secrets/a/s"].(*corev1.Secret))
		if err != nil {
			t.Fatal(err)
		}
		s["secrets/a/s"].(*corev1.Secret).Data = map[string][]byte{"token": []byte(token)}
		c.change(s)
		r, ok, err := i.AuthenticateToken(context.Background(), token)
		if c.err == "" && (!ok || r.User.GetName() != "system:serviceaccount:a:sa" || used != 1) || c.err != "" && (ok || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v %v, marked %d times", c.what, ok, err, used)
		}
	}
}

// TestUpstreamReadsOurTokens has upstream's own authenticator check a token.
func TestUpstreamReadsOurTokens(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	out, err := i.Issue(context.Background(), "a", "sa", tokenRequest(boundTo("Pod", "p", ""), 3607))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := serviceaccount.StaticPublicKeysGetter([]any{&i.keys.Load().sign.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	theirs := serviceaccount.JWTTokenAuthenticator([]string{DefaultIssuer}, keys, authenticator.Audiences{DefaultIssuer}, serviceaccount.NewValidator(upstreamGetter{i.c.Objects}))
	want, ok, err := theirs.AuthenticateToken(context.Background(), out.Status.Token)
	if !ok {
		t.Fatal(err)
	}
	got, _, err := i.AuthenticateToken(context.Background(), out.Status.Token)
	if err != nil || got.User.GetName() != want.User.GetName() || len(got.User.GetExtra()) != len(want.User.GetExtra()) {
		t.Errorf("%v: ours %+v, theirs %+v", err, got.User, want.User)
	}
	metadata, err := serviceaccount.NewOpenIDMetadataProvider(DefaultIssuer, DefaultIssuer+"/openid/v1/jwks", "", keys)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := metadata.GetConfigJSON()
	jwks, _ := metadata.GetKeysetJSON()
	if string(config) != string(i.OpenIDConfiguration()) || string(jwks) != string(i.JWKS()) {
		t.Errorf("metadata differs:\n%s\n%s\n%s\n%s", config, i.OpenIDConfiguration(), jwks, i.JWKS())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.")
	f.Add("..")
	i := newIssuer(f, objects(), &clock{time.Now()})
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok, _ := i.AuthenticateToken(context.Background(), s); ok {
			t.Errorf("%q is accepted", s)
		}
	})
}
