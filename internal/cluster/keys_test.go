package cluster

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/apiserver/authn"
	"minato.dev/minato/internal/pki"
)

// anAccount is all that an issuer asks for.
type anAccount struct{}

func (anAccount) Get(context.Context, schema.GroupResource, string, string) (runtime.Object, error) {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "sa", UID: "1"}}, nil
}

// TestKeysRotateWhileRunning: the issuer follows the files, tokens hold until their key is removed, and a server that starts anew
// believes the same.
func TestKeysRotateWhileRunning(t *testing.T) {
	dir := t.TempDir()
	keys := &tokenKeys{dir: dir}
	ask := func(do http.HandlerFunc, query string) string {
		w := httptest.NewRecorder()
		do(w, httptest.NewRequest(http.MethodPost, "/?"+query, nil))
		return w.Body.String()
	}
	start := func() *authn.Issuer {
		b, err := pki.EnsureAll(dir, pki.Names{Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		i, err := authn.NewIssuer(authn.IssuerConfig{Key: b.ServiceAccountKey, Verify: b.BelievedKeys, Objects: anAccount{}})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if got := ask(keys.rotate, ""); !strings.Contains(got, "on its way up") {
		t.Errorf("before there is an issuer: %s", got)
	}
	issuer := start()
	keys.issuer.Store(issuer)
	before, err := issuer.LegacyToken(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "sa", UID: "1"}}, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(keys.rotate, ""); strings.Contains(got, "error") {
		t.Fatal(got)
	}
	all, err := pki.TokenKeys(dir)
	if err != nil || len(all) != 2 || !bytes.Contains(issuer.JWKS(), []byte(all[0].ID)) || !bytes.Contains(issuer.JWKS(), []byte(all[1].ID)) {
		t.Fatalf("%v %v: %s", all, err, issuer.JWKS())
	}
	signature := func(i *authn.Issuer) string {
		_, _, err := i.AuthenticateToken(t.Context(), before)
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for _, i := range []*authn.Issuer{issuer, start()} {
		if err := signature(i); strings.Contains(err, "signature") {
			t.Errorf("after the rotation: %s", err)
		}
	}
	if got := ask(keys.remove, "id="+all[0].ID); !strings.Contains(got, "signs") {
		t.Errorf("the key that signs: %s", got)
	}
	if got := ask(keys.remove, "id="+all[1].ID); strings.Contains(got, "error") {
		t.Error(got)
	}
	for _, i := range []*authn.Issuer{issuer, start()} {
		if err := signature(i); !strings.Contains(err, "invalid signature, no keys found") {
			t.Errorf("after the removal: %s", err)
		}
	}
	if got := ask((&tokenKeys{}).rotate, ""); !strings.Contains(got, "no API server here") {
		t.Errorf("without a server: %s", got)
	}
}
