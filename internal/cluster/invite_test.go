package cluster

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/pki"
)

func TestJoinTokens(t *testing.T) {
	b := bundle(t)
	made, err := newJoinToken(b.CA.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseJoinToken(" " + made.String() + "\n")
	if err != nil || read != made {
		t.Errorf("%v became %v, %v", made, read, err)
	}
	other, err := newJoinToken(b.CA.CertPEM)
	if err != nil || other.ID == made.ID && other.Secret == made.Secret || other.Hash != made.Hash {
		t.Errorf("%v and %v, %v", made, other, err)
	}
	for _, bad := range []string{"", "abcdef.0123456789abcdef", "abcdef.0123456789abcdef." + strings.Repeat("g", 64), "ABCDEF.0123456789abcdef." + strings.Repeat("0", 64), made.String() + "0"} {
		if _, err := ParseJoinToken(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestOneInBetweenIsNotBelieved: whoever answers in the server's place may send the real authority, which is no secret, with
// an own one behind it.
func TestOneInBetweenIsNotBelieved(t *testing.T) {
	real, own := bundle(t), bundle(t)
	token, err := newJoinToken(real.CA.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		says    []byte
		serving *pki.Pair
		problem string
	}{
		"the server":                   {real.CA.CertPEM, real.APIServer, ""},
		"another authority":            {own.CA.CertPEM, own.APIServer, "has another certificate authority than the token names"},
		"the real one in a false hand": {real.CA.CertPEM, own.APIServer, "unknown authority"},
		"both":                         {slices.Concat(real.CA.CertPEM, own.CA.CertPEM), own.APIServer, "unknown authority"},
		"both, the false one first":    {slices.Concat(own.CA.CertPEM, real.CA.CertPEM), own.APIServer, "has another certificate authority"},
	} {
		info, err := infoMap(Identity{PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12")}, "https://127.0.0.1", c.says)
		if err != nil {
			t.Fatal(err)
		}
		info.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(info); err != nil {
				t.Error(err)
			}
		}))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{c.serving.TLS}}
		srv.StartTLS()
		got, err := discover(t.Context(), srv.URL, token)
		srv.Close()
		switch {
		case c.problem == "" && (err != nil || string(got.caPEM) != string(real.CA.CertPEM)):
			t.Errorf("%s: %v, %v", name, got, err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s: %v, want %q", name, err, c.problem)
		}
	}
}

func bundle(t *testing.T) *pki.Bundle {
	t.Helper()
	b, err := pki.EnsureAll(t.TempDir(), pki.Names{Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServerURL(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "https://10.0.0.1:7443": "https://10.0.0.1:7443", "https://10.0.0.1": "https://10.0.0.1:6443", "https://server/": "https://server:6443",
		"http://10.0.0.1": "error", "10.0.0.1:6443": "error", "https://": "error", "https://a/b": "error", "https://u@a": "error",
	} {
		got, err := serverURL(in)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", in, got, want, err)
		}
	}
}

// TestWhoAnswersWithoutEndIsRefused: nothing vouches for the server yet.
func TestWhoAnswersWithoutEndIsRefused(t *testing.T) {
	b := bundle(t)
	token, err := newJoinToken(b.CA.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"kind":"ConfigMap","apiVersion":"v1","data":{"kubeconfig":"`)
		for more := strings.Repeat("a", 1<<16); err == nil; {
			_, err = io.WriteString(w, more)
		}
	}))
	defer srv.Close()
	if _, err := discover(t.Context(), srv.URL, token); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}
