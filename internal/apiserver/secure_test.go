package apiserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/apiserver/authn"
	"minato.dev/minato/internal/apiserver/authz"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/pki"
)

// guarded starts a server with certificates, tokens, RBAC and admission, as a cluster has them, and a TLS listener.
func guarded(t *testing.T) (*apiservertest.Server, *pki.Bundle, string) {
	t.Helper()
	b, err := pki.EnsureAll(t.TempDir(), pki.Names{Node: "n", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, ServiceIP: net.IPv4(10, 96, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := apiservertest.Start(t, func(c *apiserver.Config) {
		c.Secure = func(o *apiserver.Objects) (apiserver.Security, error) {
			tokens, err := authn.NewIssuer(authn.IssuerConfig{Key: b.ServiceAccountKey, Objects: o})
			if err != nil {
				return apiserver.Security{}, err
			}
			az := authz.New(authz.Config{CaughtUp: o.CaughtUp})
			for _, gr := range authz.Watched() {
				o.OnChange(gr, az.Observe)
			}
			return apiserver.Security{Authenticator: authn.New(authn.Config{ClientCA: b.CA.Pool(), Tokens: tokens, Anonymous: true}),
				Authorizer: az, Rules: az, Tokens: tokens, Admission: admission.New(admission.Config{Objects: o, Authorizer: az, Escalation: az, Log: slog.New(slog.DiscardHandler),
					WriteQuotaStatus: func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
						changed := q.DeepCopy()
						return changed, o.Update(ctx, corev1.Resource("resourcequotas"), runtime.Object(changed))
					}})}, nil
		}
		c.Prepare = func(ctx context.Context, st bootstrap.Store) error {
			_, err := bootstrap.Ensure(ctx, st, bootstrap.Config{AdvertiseIP: net.IPv4(10, 0, 0, 1), AdvertisePort: 6443, ServiceIP: net.IPv4(10, 96, 0, 1),
				ServiceCIDRs: []string{"10.96.0.0/12"}, ClientCAPEM: b.CA.CertPEM, FrontProxyPEM: b.FrontProxyCA.CertPEM, FrontProxyName: "front-proxy-client"})
			return err
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{b.APIServer.TLS}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s, b, "https://" + l.Addr().String()
}

func overTLS(b *pki.Bundle, as *pki.Pair) *http.Client {
	conf := &tls.Config{RootCAs: b.CA.Pool()}
	if as != nil {
		conf.Certificates = []tls.Certificate{as.TLS}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
}

func ask(t *testing.T, c *http.Client, url string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d", resp.ProtoMajor)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// TestGuards tells who may do what on a server that is guarded as a cluster's is.
func TestGuards(t *testing.T) {
	s, b, url := guarded(t)
	anonymous, admin, node := overTLS(b, nil), overTLS(b, b.Admin), overTLS(b, b.Node)
	const secrets = "/api/v1/namespaces/kube-system/secrets"
	for _, c := range []struct {
		name    string
		c       *http.Client
		path    string
		headers []string
		code    int
		message string
	}{
		{"anonymous reads the version", anonymous, "/version", nil, 200, ""},
		{"anonymous reads secrets", anonymous, secrets, nil, 403, `secrets is forbidden: User "system:anonymous" cannot list resource "secrets" in API group "" in the namespace "kube-system"`},
		{"anonymous reads a path", anonymous, "/metrics", nil, 403, `forbidden: User "system:anonymous" cannot get path "/metrics"`},
		{"bad token", anonymous, secrets, []string{"Authorization", "Bearer x"}, 401, "Unauthorized"},
		{"admin", admin, secrets, nil, 200, ""},
		{"node reads another", node, "/api/v1/nodes/other", nil, 403, `nodes "other" is forbidden: User "system:node:n" cannot get resource "nodes" in API group "" at the cluster scope`},
		{"node reads secrets", node, secrets, nil, 403, `secrets is forbidden: User "system:node:n" cannot list resource "secrets" in API group "" in the namespace "kube-system"`},
		{"admin as nobody", admin, secrets, []string{"Impersonate-User", "nobody"}, 403, `secrets is forbidden: User "nobody" cannot list resource "secrets" in API group "" in the namespace "kube-system"`},
		{"node as admin", node, secrets, []string{"Impersonate-User", "admin"}, 403, `secrets is forbidden: User "system:node:n" cannot impersonate-on:user-info:list resource "secrets" in API group "" in the namespace "kube-system"`},
		{"group without user", admin, secrets, []string{"Impersonate-Group", "g"}, 400, "requested &user.DefaultInfo{"},
		{"keys", anonymous, "/openid/v1/jwks", nil, 403, `forbidden: User "system:anonymous" cannot get path "/openid/v1/jwks"`},
		{"keys in another form", admin, "/openid/v1/jwks", []string{"Accept", "application/json"}, 406, "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json"},
		{"bootstrapped", admin, "/api/v1/namespaces/default/services/kubernetes", nil, 200, ""},
		{"its address", admin, "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1", nil, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, c.c, url+c.path, c.headers...)
			if a.code != c.code || c.message != "" && !strings.HasPrefix(a.status(t).Message, c.message) {
				t.Errorf("%d %s", a.code, a.body)
			}
		})
	}
	if resp, err := admin.Post(url+"/openid/v1/jwks", "", nil); err != nil || resp.StatusCode != 405 {
		t.Errorf("keys were written: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	own := client.Of(client.New(url, s.InProcess(b.Node.TLS), "kubelet/1"), client.Nodes)
	if _, err := own.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}); err != nil {
		t.Errorf("in process, the node registers itself: %v", err)
	}
	if _, err := own.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "m"}}); err == nil {
		t.Error("in process, a node registered another")
	}
}

// TestStop ends a server with an open watch.
func TestStop(t *testing.T) {
	s := apiservertest.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	resp, err := http.Get("http://" + l.Addr().String() + cms + "?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) > 0 {
		t.Errorf("the watch did not end in order: %q %v", b, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(drainLimit):
		t.Error("the server did not stop")
	}
}

const drainLimit = time.Minute
