package controllers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/certificates"
)

func TestNodesGetRangesOfTheirOwn(t *testing.T) {
	h := open(t)
	nodes := client.Of(h.c, client.Nodes)
	seen := map[string]string{}
	for _, name := range []string{"n2", "n3", "n4"} {
		_, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
		h.must(err)
	}
	for _, name := range []string{"n1", "n2", "n3", "n4"} {
		h.until("a range for "+name, func() (bool, string) {
			n, err := nodes.Get(t.Context(), "", name)
			h.must(err)
			if n.Spec.PodCIDR == "" {
				return false, fmt.Sprint(n.Spec)
			}
			p, err := netip.ParsePrefix(n.Spec.PodCIDR)
			h.must(err)
			if other := seen[n.Spec.PodCIDR]; other != "" || p.Bits() != 24 || len(n.Spec.PodCIDRs) != 1 || n.Spec.PodCIDR == "10.244.0.0/24" {
				t.Fatalf("%s and %q have %v", name, other, n.Spec)
			}
			seen[n.Spec.PodCIDR] = name
			return true, ""
		})
	}
}

func TestCertificatesAreApprovedSignedAndRefused(t *testing.T) {
	h := open(t)
	door := client.Of(h.c, certificates.Requests)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:n9", Organization: []string{"system:nodes"}}}, key)
	h.must(err)
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	ask := func(name, signer string, usages ...certificatesv1.KeyUsage) {
		_, err := door.Create(t.Context(), &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: certificatesv1.CertificateSigningRequestSpec{Request: request, SignerName: signer, Usages: usages}})
		h.must(err)
	}
	approve := func(name string) {
		c, err := door.Get(t.Context(), "", name)
		h.must(err)
		c.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"}}
		_, err = door.Update(t.Context(), c, "approval")
		h.must(err)
	}
	is := func(name string, want func(certificatesv1.CertificateSigningRequestStatus) bool) {
		t.Helper()
		h.until(name, func() (bool, string) {
			c, err := door.Get(t.Context(), "", name)
			h.must(err)
			return want(c.Status), fmt.Sprintf("%+v", c.Status)
		})
	}
	ask("node", certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature)
	is("node", func(s certificatesv1.CertificateSigningRequestStatus) bool {
		return len(s.Certificate) > 0 && s.Conditions[0].Reason == "AutoApproved"
	})
	ask("user", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageClientAuth)
	ask("bad", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageServerAuth)
	ask("foreign", "example.com/signer", certificatesv1.UsageServerAuth)
	for _, name := range []string{"user", "bad", "foreign"} {
		approve(name)
	}
	is("user", func(s certificatesv1.CertificateSigningRequestStatus) bool { return len(s.Certificate) > 0 })
	is("bad", func(s certificatesv1.CertificateSigningRequestStatus) bool {
		return len(s.Certificate) == 0 && len(s.Conditions) == 2 && s.Conditions[1].Type == certificatesv1.CertificateFailed
	})
	is("foreign", func(s certificatesv1.CertificateSigningRequestStatus) bool {
		return len(s.Certificate) == 0 && len(s.Conditions) == 1
	})
}

// asNode is a way to the server as a node's user.
type asNode struct {
	http.RoundTripper
	node string
}

func (a asNode) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Impersonate-User", "system:node:"+a.node)
	return a.RoundTripper.RoundTrip(r)
}

func TestServingCertificateWaitsForTheNodesAddress(t *testing.T) {
	h := open(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	way := &http.Transport{}
	t.Cleanup(way.CloseIdleConnections)
	door := client.Of(client.New(h.url, asNode{way, "n9"}, "test"), certificates.Requests)
	ask := func(signer string, usage certificatesv1.KeyUsage, ips ...net.IP) (issued func() bool) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{IPAddresses: ips,
			Subject: pkix.Name{CommonName: "system:node:n9", Organization: []string{"system:nodes"}}}, key)
		h.must(err)
		csr, err := door.Create(t.Context(), &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-"},
			Spec: certificatesv1.CertificateSigningRequestSpec{Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: signer,
				Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, usage}}})
		h.must(err)
		return func() bool {
			got, err := door.Get(t.Context(), "", csr.Name)
			h.must(err)
			return len(got.Status.Certificate) > 0
		}
	}
	serving := ask(certificatesv1.KubeletServingSignerName, certificatesv1.UsageServerAuth, net.IPv4(192, 168, 7, 9))
	other := ask(certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.UsageClientAuth)
	h.until("the request behind it", func() (bool, string) { return other(), "" })
	if serving() {
		t.Fatal("a certificate for an address that no Node has")
	}
	nodes := client.Of(h.c, client.Nodes)
	n, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n9"}})
	h.must(err)
	_, err = nodes.Patch(t.Context(), "", n.Name, types.MergePatchType, []byte(`{"status":{"addresses":[{"type":"InternalIP","address":"192.168.7.9"}]}}`), "status")
	h.must(err)
	h.until("the certificate", func() (bool, string) { return serving(), "" })
}

func TestBootstrapTokensEnd(t *testing.T) {
	h := open(t)
	secrets := client.Of(h.c, client.Secrets)
	make := func(name string, left time.Duration) {
		_, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + name},
			Type: "bootstrap.kubernetes.io/token", StringData: map[string]string{"expiration": time.Now().Add(left).UTC().Format(time.RFC3339)}})
		h.must(err)
	}
	make("aaaaaa", time.Second)
	make("bbbbbb", time.Hour)
	h.until("the one that has ended is gone", func() (bool, string) {
		_, err := secrets.Get(t.Context(), "kube-system", "bootstrap-token-aaaaaa")
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	_, err := secrets.Get(t.Context(), "kube-system", "bootstrap-token-bbbbbb")
	h.must(err)
}
