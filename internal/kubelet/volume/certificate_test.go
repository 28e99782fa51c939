package volume

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// root is a self-signed certificate in PEM.
func root(t *testing.T, serial int64) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func bundle(name, signer, label string, certs ...string) *certificatesv1.ClusterTrustBundle {
	return &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"live": label}},
		Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: strings.Join(certs, "# words between\n")}}
}

func TestTrustBundles(t *testing.T) {
	one, two, three := root(t, 1), root(t, 2), root(t, 3)
	all := []*certificatesv1.ClusterTrustBundle{bundle("a", "", "", one), bundle("s:b", "s", "yes", one, two), bundle("s:c", "s", "yes", two), bundle("s:d", "s", "no", three), bundle("bad", "", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}
	m := New(t.TempDir(), nil, nil, nil)
	m.Bundles = func(context.Context) ([]*certificatesv1.ClusterTrustBundle, error) { return all, nil }
	name := func(n string) *string { return &n }
	optional := true
	live := &metav1.LabelSelector{MatchLabels: map[string]string{"live": "yes"}}
	for what, c := range map[string]struct {
		s     corev1.ClusterTrustBundleProjection
		certs []string
		err   string
	}{
		"by name":           {corev1.ClusterTrustBundleProjection{Name: name("a")}, []string{one}, ""},
		"by signer":         {corev1.ClusterTrustBundleProjection{SignerName: name("s"), LabelSelector: live}, []string{one, two}, ""},
		"all of a signer":   {corev1.ClusterTrustBundleProjection{SignerName: name("s"), LabelSelector: &metav1.LabelSelector{}}, []string{one, two, three}, ""},
		"no selector":       {corev1.ClusterTrustBundleProjection{SignerName: name("s")}, nil, "matched zero ClusterTrustBundles"},
		"unknown":           {corev1.ClusterTrustBundleProjection{Name: name("x")}, nil, `clustertrustbundle "x" not found`},
		"unknown, optional": {corev1.ClusterTrustBundleProjection{Name: name("x"), Optional: &optional}, nil, ""},
		"neither":           {corev1.ClusterTrustBundleProjection{}, nil, "requires either name or signerName"},
		"not a certificate": {corev1.ClusterTrustBundleProjection{Name: name("bad")}, nil, "trust bundle bad"},
	} {
		c.s.Path = "ca.pem"
		p := payload{}
		err := m.fromTrustBundle(t.Context(), &corev1.Pod{}, p, &c.s, 0o644)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", what, err)
		}
		got := string(p["ca.pem"].data)
		for _, cert := range c.certs {
			if strings.Count(got, cert) != 1 {
				t.Errorf("%s: a certificate is there %d times", what, strings.Count(got, cert))
			}
		}
		if n := strings.Count(got, "BEGIN"); n != len(c.certs) {
			t.Errorf("%s: %d certificates", what, n)
		}
	}
}

// signer answers requests as the test tells it to.
type signer struct {
	t    *testing.T
	made map[string]*certificatesv1.PodCertificateRequest
	sign func(*certificatesv1.PodCertificateRequest)
}

func (s *signer) Create(_ context.Context, _ *corev1.Pod, r *certificatesv1.PodCertificateRequest) (*certificatesv1.PodCertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil || csr.CheckSignature() != nil {
		s.t.Errorf("the request proves nothing: %v", err)
	}
	r.Name = r.GenerateName + string(rune('a'+len(s.made)))
	s.made[r.Name] = r
	return r, nil
}

func (s *signer) Get(_ context.Context, _, name string) (*certificatesv1.PodCertificateRequest, error) {
	r := s.made[name]
	if r == nil {
		return nil, apierrors.NewNotFound(certificatesv1.Resource("podcertificaterequests"), name)
	}
	s.sign(r)
	return r, nil
}

func TestPodCertificate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &signer{t: t, made: map[string]*certificatesv1.PodCertificateRequest{}, sign: func(*certificatesv1.PodCertificateRequest) {}}
	m := New(t.TempDir(), nil, nil, nil)
	m.Certificates, m.now = s, func() time.Time { return now }
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Name: "p", Namespace: "n"}, Spec: corev1.PodSpec{ServiceAccountName: "default", Volumes: []corev1.Volume{{Name: "v",
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{PodCertificate: &corev1.PodCertificateProjection{
			SignerName: "example.com/s", KeyType: "ECDSAP256", CredentialBundlePath: "bundle.pem", CertificateChainPath: "chain.pem"}}}}}}}}}
	defer func() {
		if err := m.Teardown("u"); err != nil {
			t.Error(err)
		}
	}()
	if err := m.Setup(t.Context(), pod); err == nil || !strings.Contains(err.Error(), "credential bundle is not issued yet") {
		t.Fatalf("before it is signed: %v", err)
	}
	chain := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	s.sign = func(r *certificatesv1.PodCertificateRequest) {
		r.Status = certificatesv1.PodCertificateRequestStatus{CertificateChain: chain, BeginRefreshAt: &metav1.Time{Time: now.Add(time.Hour)},
			Conditions: []metav1.Condition{{Type: certificatesv1.PodCertificateRequestConditionTypeIssued, Status: metav1.ConditionTrue}}}
	}
	if err := m.Setup(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	file := func() string {
		raw, err := os.ReadFile(filepath.Join(m.Path(pod, &pod.Spec.Volumes[0]), "bundle.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := file()
	if !strings.Contains(first, "BEGIN PRIVATE KEY") || !strings.HasSuffix(first, chain) || len(s.made) != 1 || !m.Renew("u").Equal(now.Add(time.Hour)) {
		t.Errorf("%d requests, renewed at %v, bundle\n%s", len(s.made), m.Renew("u"), first)
	}
	if err := m.Setup(t.Context(), pod); err != nil || file() != first || len(s.made) != 1 {
		t.Error("it is made anew without need", err)
	}
	now = now.Add(time.Hour)
	issue := s.sign
	s.sign = func(*certificatesv1.PodCertificateRequest) {}
	if err := m.Setup(t.Context(), pod); err != nil || file() != first || len(s.made) != 2 || !m.Renew("u").IsZero() {
		t.Error("while the next one is waited for", err, len(s.made), m.Renew("u"))
	}
	s.sign = issue
	if err := m.Setup(t.Context(), pod); err != nil || file() == first {
		t.Error("the next one is not taken", err)
	}
}

func TestPodCertificateRefused(t *testing.T) {
	s := &signer{t: t, made: map[string]*certificatesv1.PodCertificateRequest{}, sign: func(r *certificatesv1.PodCertificateRequest) {
		r.Status.Conditions = []metav1.Condition{{Type: certificatesv1.PodCertificateRequestConditionTypeDenied, Status: metav1.ConditionTrue, Reason: "No", Message: "never"}}
	}}
	m := New(t.TempDir(), nil, nil, nil)
	m.Certificates = s
	for range 2 {
		err := m.fromPodCertificate(t.Context(), &corev1.Pod{}, "v", 0, payload{}, &corev1.PodCertificateProjection{KeyType: "ED25519"}, 0)
		if err == nil || !strings.Contains(err.Error(), `permanently denied: reason="No" message="never"`) || len(s.made) != 1 {
			t.Errorf("%v after %d requests", err, len(s.made))
		}
	}
	if _, _, err := newKey("DSA"); err == nil {
		t.Error("any key type is taken")
	}
}
