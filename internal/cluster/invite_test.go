package cluster

import (
	"strings"
	"testing"

	"minato.dev/minato/internal/pki"
)

func TestJoinTokens(t *testing.T) {
	b, err := pki.EnsureAll(t.TempDir(), pki.Names{Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
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
