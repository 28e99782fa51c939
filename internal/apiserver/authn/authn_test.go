package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// shelf is Objects in memory, by "resource/namespace/name".
type shelf map[string]runtime.Object

func (s shelf) Get(_ context.Context, gr schema.GroupResource, ns, name string) (runtime.Object, error) {
	if o, ok := s[gr.Resource+"/"+ns+"/"+name]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(gr, name)
}

func meta(ns, name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(uid)}
}

func objects() shelf {
	return shelf{
		"serviceaccounts/a/sa": &corev1.ServiceAccount{ObjectMeta: meta("a", "sa", "sa-1")},
		"pods/a/p":             &corev1.Pod{ObjectMeta: meta("a", "p", "p-1"), Spec: corev1.PodSpec{ServiceAccountName: "sa", NodeName: "n"}},
		"pods/a/other":         &corev1.Pod{ObjectMeta: meta("a", "other", "o-1"), Spec: corev1.PodSpec{ServiceAccountName: "other"}},
		"nodes//n":             &corev1.Node{ObjectMeta: meta("", "n", "n-1")},
		"secrets/a/s":          &corev1.Secret{ObjectMeta: meta("a", "s", "s-1")},
	}
}

// clock is a time that tests move.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newIssuer(t testing.TB, o Objects, c *clock) *Issuer {
	t.Helper()
	i, err := NewIssuer(IssuerConfig{Key: newKey(t), Objects: o, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// authority signs client certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, c *clock) authority {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: c.Add(-time.Hour), NotAfter: c.Add(10 * time.Hour)}
	return authority{t, signed(t, tmpl, tmpl, key, key), key}
}

func signed(t testing.TB, tmpl, parent *x509.Certificate, pub *ecdsa.PrivateKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &pub.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a authority) issue(c *clock, name pkix.Name, usage x509.ExtKeyUsage) *x509.Certificate {
	return signed(a.t, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: c.Add(-time.Hour), NotAfter: c.Add(time.Hour)}, a.cert, newKey(a.t), a.key)
}

func request(cert *x509.Certificate, token string) *http.Request {
	r := httptest.NewRequest("GET", "/api", nil)
	if cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func TestWays(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	ca, stranger := newAuthority(t, c), newAuthority(t, c)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	i := newIssuer(t, objects(), c)
	token, err := i.Issue(context.Background(), "a", "sa", tokenRequest(nil, 3600))
	if err != nil {
		t.Fatal(err)
	}
	a := New(Config{ClientCA: pool, Tokens: i, Anonymous: true, Now: c.now})
	const client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	uid := pkix.Name{CommonName: "jane", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier(uidOID), Value: "u-1"}}}
	jane := ca.issue(c, pkix.Name{CommonName: "jane", Organization: []string{"devs"}}, client)
	for _, x := range []struct {
		what   string
		req    *http.Request
		user   string // "" for 401
		groups string
		uid    string
	}{
		{"certificate", request(jane, ""), "jane", "devs,system:authenticated", ""},
		{"certificate again", request(jane, ""), "jane", "devs,system:authenticated", ""},
		{"certificate with uid", request(ca.issue(c, uid, client), ""), "jane", "system:authenticated", "u-1"},
		{"server certificate", request(ca.issue(c, pkix.Name{CommonName: "jane"}, server), ""), "", "", ""},
		{"stranger's certificate", request(stranger.issue(c, pkix.Name{CommonName: "root"}, client), ""), "", "", ""},
		{"nameless certificate", request(ca.issue(c, pkix.Name{}, client), ""), "system:anonymous", "system:unauthenticated", ""},
		{"token", request(nil, token.Status.Token), "system:serviceaccount:a:sa", "system:serviceaccounts,system:serviceaccounts:a,system:authenticated", "sa-1"},
		{"bad token", request(nil, "nonsense"), "", "", ""},
		{"bad certificate, good token", request(stranger.issue(c, pkix.Name{CommonName: "x"}, client), token.Status.Token), "system:serviceaccount:a:sa", "system:serviceaccounts,system:serviceaccounts:a,system:authenticated", "sa-1"},
		{"certificate of an anonymous", request(ca.issue(c, pkix.Name{CommonName: "system:anonymous"}, client), ""), "system:anonymous", "", ""},
		{"nothing", request(nil, ""), "system:anonymous", "system:unauthenticated", ""},
	} {
		resp, ok, err := a.AuthenticateRequest(x.req)
		if !ok {
			if x.user != "" || err == nil {
				t.Errorf("%s: %v", x.what, err)
			}
			continue
		}
		if u := resp.User; u.GetName() != x.user || strings.Join(u.GetGroups(), ",") != x.groups || u.GetUID() != x.uid {
			t.Errorf("%s: %s %v %q", x.what, u.GetName(), u.GetGroups(), u.GetUID())
		}
	}
	c.Time = c.Add(2 * time.Hour)
	if _, ok, err := a.AuthenticateRequest(request(jane, "")); ok || err == nil {
		t.Error("a remembered certificate is believed after its end")
	}
	closed := New(Config{ClientCA: pool, Now: c.now})
	if _, ok, err := closed.AuthenticateRequest(request(nil, "")); ok || err != nil {
		t.Error("anonymous is refused without an error", ok, err)
	}
}

func TestTokenHeaderIsTakenOff(t *testing.T) {
	c := &clock{time.Now()}
	i := newIssuer(t, objects(), c)
	token, _ := i.Issue(context.Background(), "a", "sa", tokenRequest(nil, 3600))
	r := request(nil, token.Status.Token)
	if _, ok, err := New(Config{Tokens: i}).AuthenticateRequest(r); !ok || r.Header.Get("Authorization") != "" {
		t.Error(ok, err, r.Header)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory[int](16)
	now := time.Now()
	for n := range 100 {
		m.put([32]byte{byte(n)}, n, now, now.Add(time.Hour))
	}
	if len(m.m) > 16 {
		t.Error(len(m.m))
	}
	if v, ok := m.get([32]byte{99}, now); !ok || v != 99 {
		t.Error("the newest is gone")
	}
}

func BenchmarkCertificate(b *testing.B) {
	c := &clock{time.Now()}
	ca := newAuthority(b, c)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	a := New(Config{ClientCA: pool, Now: c.now})
	r := request(ca.issue(c, pkix.Name{CommonName: "jane"}, x509.ExtKeyUsageClientAuth), "")
	for b.Loop() {
		a.AuthenticateRequest(r)
	}
}
