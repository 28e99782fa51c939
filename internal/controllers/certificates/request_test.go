package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// asked is a request as it comes over the wire.
func asked(t *testing.T, cn string, orgs []string, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: orgs}}
	if change != nil {
		change(r)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestSignersRules(t *testing.T) {
	nodes := []string{"system:nodes"}
	ip := func(r *x509.CertificateRequest) { r.IPAddresses = []net.IP{net.IPv4(192, 168, 1, 2)} }
	uri := func(r *x509.CertificateRequest) { ip(r); r.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }
	const client, kubelet, serving = certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName
	for _, c := range []struct {
		name, signer, cn string
		orgs             []string
		change           func(*x509.CertificateRequest)
		usages           string
		problem          string
	}{
		{"a user", client, "jane", []string{"dev"}, nil, "client auth", ""},
		{"a user who wants to serve", client, "jane", nil, nil, "server auth", `"server auth" is not allowed`},
		{"a kubelet", kubelet, "system:node:a", nodes, nil, "client auth,digital signature", ""},
		{"a kubelet with RSA", kubelet, "system:node:a", nodes, nil, "client auth,digital signature,key encipherment", ""},
		{"a kubelet in two groups", kubelet, "system:node:a", []string{"system:nodes", "system:masters"}, nil, "client auth,digital signature", "organization"},
		{"a kubelet without a name", kubelet, "system:node:", nodes, nil, "client auth,digital signature", "common name"},
		{"a kubelet with an address", kubelet, "system:node:a", nodes, ip, "client auth,digital signature", "not allowed"},
		{"a kubelet that wants too much", kubelet, "system:node:a", nodes, nil, "client auth,digital signature,server auth", "not allowed"},
		{"a kubelet that wants too little", kubelet, "system:node:a", nodes, nil, "client auth", "needed"},
		{"a kubelet that serves", serving, "system:node:a", nodes, ip, "server auth,digital signature", ""},
		{"a kubelet that serves nowhere", serving, "system:node:a", nodes, nil, "server auth,digital signature", "required"},
		{"a kubelet with a URI", serving, "system:node:a", nodes, uri, "server auth,digital signature", "not allowed"},
		{"somebody who is no kubelet", serving, "jane", nodes, ip, "server auth,digital signature", "common name"},
	} {
		req, err := parse(asked(t, c.cn, c.orgs, c.change))
		if err != nil {
			t.Fatal(c.name, err)
		}
		var spec certificatesv1.CertificateSigningRequestSpec
		for u := range strings.SplitSeq(c.usages, ",") {
			spec.Usages = append(spec.Usages, certificatesv1.KeyUsage(u))
		}
		err = signers[c.signer](req, spec)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", c.name, err, c.problem)
		}
	}
}

func TestServingNamesOnlyItself(t *testing.T) {
	closed := []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("10.96.0.0/12")}
	set := func(list ...string) map[string]bool {
		m := map[string]bool{}
		for _, s := range list {
			m[s] = true
		}
		return m
	}
	for _, c := range []struct {
		node, names, ips string
		own, claimed     map[string]bool
		want             bool
	}{
		{"a", "", "192.168.1.2", set("192.168.1.2"), nil, true},
		{"a", "a", "192.168.1.2", set("192.168.1.2", "a"), set("192.168.1.3", "b"), true},
		{"a", "b", "192.168.1.2", set("192.168.1.2", "b"), nil, false},
		{"a", "a", "192.168.1.2", set("192.168.1.2", "a"), set("a"), false},
		{"a", "", "192.168.1.2", set(), nil, false},
		{"a", "", "192.168.1.2", set("192.168.1.2"), set("192.168.1.2"), false},
		{"a", "", "127.0.0.1", set("127.0.0.1"), nil, false},
		{"a", "", "10.96.0.1", set("10.96.0.1"), nil, false},
		{"a", "", "10.244.3.4", set("10.244.3.4"), nil, false},
		{"kubernetes", "kubernetes", "", set("kubernetes"), nil, false},
		{"kubernetes.default", "kubernetes.default", "", set("kubernetes.default"), nil, false},
		{"web.shop.svc", "web.shop.svc", "", set("web.shop.svc"), nil, false},
		{"web.shop.svc.cluster.local", "web.shop.svc.cluster.local", "", set("web.shop.svc.cluster.local"), nil, false},
		{"ip-10-0-0-1.internal", "ip-10-0-0-1.internal", "", set(), nil, true},
	} {
		req := &x509.CertificateRequest{DNSNames: strings.Fields(c.names)}
		for _, ip := range strings.Fields(c.ips) {
			req.IPAddresses = append(req.IPAddresses, net.ParseIP(ip))
		}
		if got := within(req, c.node, c.own, c.claimed, closed); got != c.want {
			t.Errorf("%s asks for %q %q and has %v: %v", c.node, c.names, c.ips, c.own, got)
		}
	}
}

func TestRequestsAreKeptAsUpstreamKeepsThem(t *testing.T) {
	made := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	later := metav1.NewTime(made.Add(10 * time.Hour))
	is := func(kind certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
		return []certificatesv1.CertificateSigningRequestCondition{{Type: kind, Status: corev1.ConditionTrue, LastUpdateTime: later}}
	}
	for name, c := range map[string]struct {
		status certificatesv1.CertificateSigningRequestStatus
		end    time.Time
	}{
		"pending":  {certificatesv1.CertificateSigningRequestStatus{}, made.Add(24 * time.Hour)},
		"approved": {certificatesv1.CertificateSigningRequestStatus{Conditions: is(certificatesv1.CertificateApproved)}, later.Add(24 * time.Hour)},
		"issued":   {certificatesv1.CertificateSigningRequestStatus{Conditions: is(certificatesv1.CertificateApproved), Certificate: []byte("x")}, later.Add(time.Hour)},
		"denied":   {certificatesv1.CertificateSigningRequestStatus{Conditions: is(certificatesv1.CertificateDenied)}, later.Add(time.Hour)},
		"failed":   {certificatesv1.CertificateSigningRequestStatus{Conditions: is(certificatesv1.CertificateFailed)}, later.Add(time.Hour)},
	} {
		for _, signer := range []string{certificatesv1.KubeletServingSignerName, "example.com/signer"} {
			st := stateOf(&certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: made},
				Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer}, Status: c.status})
			if end := st.since.Add(keep(st)); !end.Equal(c.end) {
				t.Errorf("%s for %s: kept until %s, want %s", name, signer, end, c.end)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if req, err := parse(data); err == nil && req == nil {
			t.Error("neither request nor error")
		}
	})
}
