package pki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCrash damages the directory in each way that a crash, or a hand, can, and starts again.
func TestCrash(t *testing.T) {
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	write := func(name, data string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600) }
	}
	for _, c := range []struct {
		what   string
		damage func(dir string) error
		err    string // empty: heals, and the authority's key stays
	}{
		{"before the authority's certificate", remove("ca.crt"), ""},
		{"authority's certificate cut short", write("ca.crt", "-----BEGIN CERT"), ""},
		{"leaf missing", remove("admin.pem"), ""},
		{"leaf cut short", write("apiserver.pem", "-----BEGIN"), ""},
		{"leaf empty", write("node.pem", ""), ""},
		{"temporary file left", write(".node.pem.1234", "half"), ""},
		{"token key missing", remove("sa.key"), ""},
		{"authority's key lost", remove("ca.key"), "ca.key: restore the key"},
		{"authority's key damaged", write("ca.key", "?"), "ca.key: no PEM block"},
		{"token key damaged", write("sa.key", "?"), "sa.key: no PEM block"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			first := must(t, dir, names, time.Now())
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			b, err := EnsureAll(dir, names)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(b.CA.KeyPEM) != string(first.CA.KeyPEM) {
				t.Error("the authority has another key")
			}
			for _, p := range []*Pair{b.Admin, b.APIServer, b.Node} {
				if !b.CA.issued(p.Leaf()) {
					t.Errorf("%s is not from the authority", p.CertFile)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*.*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestNodeNameIsNeeded(t *testing.T) {
	if _, err := EnsureAll(t.TempDir(), Names{}); err == nil {
		t.Fatal("no error")
	}
}
