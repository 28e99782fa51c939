package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

// TestRotation: what was signed by an earlier key holds until that key is taken away, remembered or not.
func TestRotation(t *testing.T) {
	ctx := context.Background()
	i := newIssuer(t, objects(), &clock{time.Now()})
	token := func() string {
		t.Helper()
		out, err := i.Issue(ctx, "a", "sa", tokenRequest(nil, 3600))
		if err != nil {
			t.Fatal(err)
		}
		return out.Status.Token
	}
	holds := func(what, token string, want string) {
		t.Helper()
		_, ok, err := i.AuthenticateToken(ctx, token)
		if ok != (want == "") || !ok && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v, want %q", what, ok, err, want)
		}
	}
	first, second := i.keys.Load().sign, newKey(t)
	seen, unseen := token(), token()
	holds("before", seen, "")
	if err := i.SetKeys(second, &first.PublicKey, &second.PublicKey); err != nil {
		t.Fatal(err)
	}
	holds("remembered", seen, "")
	holds("of the old key", unseen, "")
	holds("of the new key", token(), "")
	if n := strings.Count(string(i.JWKS()), `"kid"`); n != 2 {
		t.Errorf("%d keys in %s", n, i.JWKS())
	}
	if err := i.SetKeys(second); err != nil {
		t.Fatal(err)
	}
	holds("remembered, its key gone", seen, "no keys found")
	holds("its key gone", unseen, "no keys found")
	holds("of the key that stays", token(), "")
}

// TestKeysOfAllKinds has upstream sign with each kind of key that it knows, reads the tokens, and compares what is told of the keys.
func TestKeysOfAllKinds(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signers := []crypto.Signer{r}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, k)
	}
	own := i.keys.Load().sign
	all, public := []any{&own.PublicKey}, []crypto.PublicKey(nil)
	for _, s := range signers {
		all, public = append(all, s.Public()), append(public, s.Public())
	}
	if err := i.SetKeys(own, public...); err != nil {
		t.Fatal(err)
	}
	for n, s := range signers {
		g, err := serviceaccount.JWTTokenGenerator(DefaultIssuer, s)
		if err != nil {
			t.Fatal(err)
		}
		sa := core.ServiceAccount{ObjectMeta: meta("a", "sa", "sa-1")}
		standard, private, err := serviceaccount.Claims(sa, nil, nil, nil, nil, nil, 3600, 0, []string{DefaultIssuer}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := g.GenerateToken(context.Background(), standard, private)
		if err != nil {
			t.Fatal(err)
		}
		resp, ok, err := i.AuthenticateToken(context.Background(), token)
		if !ok || resp.User.GetName() != "system:serviceaccount:a:sa" {
			t.Errorf("key %d, %T: %v", n, s, err)
		}
		if _, ok, err := i.AuthenticateToken(context.Background(), token[:len(token)-6]+"AAAAAA"); ok || err == nil {
			t.Errorf("key %d, %T: a changed signature: %v %v", n, s, ok, err)
		}
	}
	getter, err := serviceaccount.StaticPublicKeysGetter(all)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := serviceaccount.NewOpenIDMetadataProvider(DefaultIssuer, DefaultIssuer+"/openid/v1/jwks", "", getter)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := theirs.GetConfigJSON()
	jwks, _ := theirs.GetKeysetJSON()
	if string(config) != string(i.OpenIDConfiguration()) || string(jwks) != string(i.JWKS()) {
		t.Errorf("metadata differs:\n%s\n%s\n%s\n%s", config, i.OpenIDConfiguration(), jwks, i.JWKS())
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	i := newIssuer(t, objects(), &clock{time.Now()})
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := i.keys.Load()
	for what, err := range map[string]error{"none": i.SetKeys(nil), "signs on P-384": i.SetKeys(p384),
		"verifies on P-224": i.SetKeys(newKey(t), &p224.PublicKey), "no key": i.SetKeys(newKey(t), "x")} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if i.keys.Load() != before {
		t.Error("what failed has changed the keys")
	}
}
