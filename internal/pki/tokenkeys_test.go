package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTokenKeysRotate: a directory through rotations and removals, read again after each.
func TestTokenKeysRotate(t *testing.T) {
	dir := t.TempDir()
	first := must(t, dir, names, time.Now())
	if len(first.BelievedKeys) != 0 {
		t.Fatalf("a first start believes %d keys", len(first.BelievedKeys))
	}
	for range 2 {
		if err := RotateTokenKey(dir); err != nil {
			t.Fatal(err)
		}
	}
	b := must(t, dir, names, time.Now())
	if b.ServiceAccountKey.Equal(first.ServiceAccountKey) || len(b.BelievedKeys) != 2 {
		t.Fatalf("the key is another one: %v, and %d are believed", !b.ServiceAccountKey.Equal(first.ServiceAccountKey), len(b.BelievedKeys))
	}
	all, err := TokenKeys(dir)
	if err != nil || len(all) != 3 || !all[0].Signs || all[1].Signs || all[0].Kind != "ECDSA P-256" {
		t.Fatalf("%+v %v", all, err)
	}
	if err := RemoveTokenKey(dir, all[0].ID); err == nil || !strings.Contains(err.Error(), "signs") {
		t.Errorf("the key that signs is removed: %v", err)
	}
	if err := RemoveTokenKey(dir, "x"); err == nil {
		t.Error("a key that is not there is removed")
	}
	for _, k := range all[1:] {
		if err := RemoveTokenKey(dir, k.ID); err != nil {
			t.Error(err)
		}
	}
	if b := must(t, dir, names, time.Now()); len(b.BelievedKeys) != 0 {
		t.Errorf("%d keys are believed after all were removed", len(b.BelievedKeys))
	}
}

// TestTokenKeysOfUpstream: files as they are given to kube-apiserver.
func TestTokenKeysOfUpstream(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, names, time.Now())
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	public, err1 := x509.MarshalPKIXPublicKey(&r.PublicKey)
	pkcs8, err2 := x509.MarshalPKCS8PrivateKey(e)
	ec, err3 := x509.MarshalECPrivateKey(e)
	both := append(block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey), nil), block("EC PARAMETERS", []byte{5, 0}, nil)...)
	for name, data := range map[string][]byte{"a.pub": block("PUBLIC KEY", public, err1), "b.key": block("PRIVATE KEY", pkcs8, err2),
		"both.pem": append(both, block("EC PRIVATE KEY", ec, err3)...), "c.key": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), ".b.key.123": []byte("half")} {
		write(t, filepath.Join(dir, believedKeys, name), data)
	}
	all, err := TokenKeys(dir)
	if err != nil || len(all) != 3 || all[1].Kind != "RSA 2048" || all[2].Kind != "ECDSA P-384" {
		t.Fatalf("%+v %v", all, err)
	}
	if b := must(t, dir, names, time.Now()); len(b.BelievedKeys) != 2 {
		t.Errorf("%d keys are believed", len(b.BelievedKeys))
	}
	for _, bad := range []string{"", "no key", string(block("CERTIFICATE REQUEST", nil, nil)), string(block("PUBLIC KEY", []byte{1}, nil))} {
		write(t, filepath.Join(dir, believedKeys, "d"), []byte(bad))
		if _, err := EnsureAll(dir, names); err == nil || !strings.Contains(err.Error(), filepath.Join(believedKeys, "d")) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
