package image

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir, name string) (certFile, keyFile string, cert tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	ok(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	ok(t, err)
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	ok(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ok(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	cert, err = tls.LoadX509KeyPair(certFile, keyFile)
	ok(t, err)
	return certFile, keyFile, cert
}

// A registry behind TLS with a certificate of its own making, which asks for one too and for a login.
func TestRegistriesFile(t *testing.T) {
	dir := t.TempDir()
	ca, _, server := certificate(t, dir, "server")
	cert, key, client := certificate(t, dir, "client")
	m := build(t, nil, gz, layer(t, file("a", "1")))
	plain := fake(t, map[string]*made{"app:1": m}, nil)
	srv := httptest.NewUnstartedServer(secured(plain))
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(client.Certificate[0])
	ok(t, err)
	pool.AddCert(leaf)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	addr := strings.TrimPrefix(srv.URL, "https://")
	text := fmt.Sprintf(`mirrors:
  registry.example: {endpoint: ["https://%[1]s/v2"]}
  "*": {endpoint: ["%[1]s"]}
configs:
  "%[1]s":
    auth: {username: node, password: secret}
    tls: {ca_file: %[2]s, cert_file: %[3]s, key_file: %[4]s}
`, addr, ca, cert, key)
	for what, c := range map[string]struct{ text, ref, want string }{
		"as a mirror":     {text, "registry.example/app:1", ""},
		"by default":      {text, "other.example/app:1", ""},
		"itself":          {text, addr + "/app:1", ""},
		"without login":   {strings.Replace(text, "password: secret", "password: x", 1), addr + "/app:1", "401 Unauthorized"},
		"without trust":   {strings.Replace(text, "ca_file: "+ca+", ", "", 1), addr + "/app:1", "certificate"},
		"without showing": {strings.Replace(text, fmt.Sprintf(", cert_file: %s, key_file: %s", cert, key), "", 1), addr + "/app:1", "certificate required"},
		"bad key":         {text + "mirror: {}\n", addr + "/app:1", "unknown field \"mirror\""},
		"bad rewrite":     {"mirrors: {x: {rewrite: {'(': b}}}", addr + "/app:1", "missing closing"},
		"rewritten":       {strings.Replace(text, `/v2"]}`, `/v2"], rewrite: {"^team/(.*)": "$1", "x": y}}`, 1), "registry.example/team/app:1", ""},
	} {
		at := filepath.Join(dir, "registries.yaml")
		ok(t, os.WriteFile(at, []byte(c.text), 0o600))
		s, err := Open(Config{Dir: t.TempDir(), RegistriesFile: at})
		ok(t, err)
		i, err := s.Pull(t.Context(), PullRequest{Ref: c.ref})
		if c.want != "" {
			wantError(t, err, c.want)
			continue
		}
		if err != nil || i.Names[0] != c.ref {
			t.Errorf("%s: %v, %v", what, i.Names, err)
		}
	}
}

// secured passes to the registry at plain whoever logs in as node.
func secured(plain string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "node" || password != "secret" {
			w.Header().Set("WWW-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+plain+r.URL.Path, nil)
		if err != nil {
			panic(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(w, resp.Body); err != nil {
			panic(err)
		}
	})
}
