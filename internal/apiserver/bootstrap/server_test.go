package bootstrap_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/authn"
	"minato.dev/minato/internal/apiserver/authz"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

// guarded starts a real server on the memory store with all guards on, and returns its certificates, its URL and how long the
// first start took until it answered.
func guarded(t *testing.T) (b *pki.Bundle, url string, took time.Duration) {
	t.Helper()
	begin := time.Now()
	b, err := pki.EnsureAll(filepath.Join(t.TempDir(), "pki"), pki.Names{Node: "n1", ServiceIP: net.IPv4(10, 96, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	st := store.NewMemory()
	s, err := apiserver.New(apiserver.Config{Store: st, SoleWriter: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Address: l.Addr().String(),
		Metrics: health.NewMetrics(),
		Secure: func(o *apiserver.Objects) (apiserver.Security, error) {
			tokens, err := authn.NewIssuer(authn.IssuerConfig{Key: b.ServiceAccountKey, Objects: o})
			if err != nil {
				return apiserver.Security{}, err
			}
			az := authz.New(authz.Config{CaughtUp: o.CaughtUp})
			for _, gr := range authz.Watched() {
				o.OnChange(gr, az.Observe)
			}
			return apiserver.Security{Authenticator: authn.New(authn.Config{ClientCA: b.CA.Pool(), Tokens: tokens, Anonymous: true}), Authorizer: az, Rules: az, Tokens: tokens,
				Admission: admission.New(admission.Config{Objects: o, Authorizer: az, Escalation: az, WriteQuotaStatus: func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
					return q, o.Update(ctx, corev1.Resource("resourcequotas"), q)
				}})}, nil
		},
		Prepare: func(ctx context.Context, s bootstrap.Store) error {
			r, err := bootstrap.Ensure(ctx, s, bootstrap.Config{AdvertiseIP: net.IPv4(192, 0, 2, 1), AdvertisePort: 6443, ServiceIP: net.IPv4(10, 96, 0, 1),
				ServiceCIDRs: []string{"10.96.0.0/12"}, ClientCAPEM: b.CA.CertPEM, FrontProxyPEM: b.FrontProxyCA.CertPEM, FrontProxyName: "front-proxy-client"})
			t.Logf("bootstrap: %+v", r)
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	scope, ready := run.NewScope(ctx), make(chan struct{})
	config := &tls.Config{Certificates: []tls.Certificate{b.APIServer.TLS}, ClientAuth: tls.RequestClientCert}
	scope.Go("stages", func(ctx context.Context) error {
		return run.Stages(ctx, []run.Stage{{Name: "apiserver", Run: s.Run},
			{Name: "listener", Run: func(ctx context.Context, ok func()) error { ok(); close(ready); return s.Serve(ctx, l, config) }}}, nil)
	})
	t.Cleanup(func() {
		cancel()
		if err := scope.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
		st.Close()
	})
	select {
	case <-ready:
	case <-scope.Context().Done():
		t.Fatal(scope.Wait())
	}
	return b, "https://" + l.Addr().String(), time.Since(begin)
}

func TestRealKubectl(t *testing.T) {
	b, url, took := guarded(t)
	t.Logf("answers after %v", took)
	dir := t.TempDir()
	admin, node := filepath.Join(dir, "admin"), filepath.Join(dir, "node")
	if err := b.AdminKubeconfig("", url).WriteFile(admin); err != nil {
		t.Fatal(err)
	}
	asNode := b.AdminKubeconfig("", url)
	asNode.Client = b.Node
	if err := asNode.WriteFile(node); err != nil {
		t.Fatal(err)
	}
	kubectl := func(config, stdin string, args ...string) string {
		cmd := exec.Command("kubectl", append([]string{"--kubeconfig", config, "--cache-dir", filepath.Join(dir, "cache")}, args...)...)
		cmd.Stdin, cmd.Env = strings.NewReader(stdin), append(os.Environ(), "HOME="+dir)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	for _, c := range []struct {
		config, stdin, args, want string
	}{
		{admin, "", "version", "Server Version: v1.37.2+minato."},
		{admin, "", "get --raw /readyz?verbose", "[+]ping ok"},
		{admin, "", "get ns", "kube-node-lease"},
		{admin, "", "get clusterroles", "system:controller:deployment-controller"},
		{admin, "", "api-resources", "ingressclasses"},
		{admin, "", "explain pod.spec", "activeDeadlineSeconds"},
		{admin, "", "explain deployment.spec.strategy --output=plaintext-openapiv2", "rollingUpdate"},
		{admin, "", "get svc kubernetes -n default", "10.96.0.1"},
		{admin, "", "auth whoami", "kubernetes-admin"},
		{admin, "", "create ns a", "namespace/a created"},
		{admin, "", "create sa x -n a", "serviceaccount/x created"},
		{admin, "", "create token x -n a", "eyJ"},
		{admin, "", "auth can-i list pods -n a --as system:serviceaccount:a:x", "no"},
		{admin, "", "create rolebinding r -n a --clusterrole=view --serviceaccount=a:x", "created"},
		{admin, "", "auth can-i list pods -n a --as system:serviceaccount:a:x", "yes"},
		{admin, "", "auth can-i --list -n a --as system:serviceaccount:a:x", "pods"},
		{admin, "", "auth can-i get secrets -n a --as system:serviceaccount:a:x", "no"},
		{admin, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: a}\ndata: {k: v}\n", "apply -f -", "configmap/c created"},
		{admin, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: a}\ndata: {k: w}\n", "apply -f -", "configmap/c configured"},
		{admin, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: a}\ndatum: {k: w}\n", "apply -f -", `unknown field "datum"`},
		{admin, "", "run p -n a --image=i --overrides={\"spec\":{\"serviceAccountName\":\"x\"}}", "pod/p created"},
		{admin, "", "get pod p -n a -o yaml", "kube-api-access-"},
		{admin, "", "get pod p -n a -o yaml", "tolerationSeconds: 300"},
		{admin, "", "delete ns kube-system", "this namespace may not be deleted"},
		{admin, "", "create quota q -n a --hard=configmaps=1", "created"},
		{admin, "", "create cm too-many -n a", "exceeded quota: q"},
		{node, "", "get nodes", "cannot read all nodes, only its own Node object"},
		{node, "", "get secrets -n kube-system", "forbidden"},
		{admin, "", "get --raw /metrics", "apiserver_request_total"},
		{admin, "", "get --raw /openid/v1/jwks", `"kty":"EC"`},
	} {
		if out := kubectl(c.config, c.stdin, strings.Fields(c.args)...); !strings.Contains(out, c.want) {
			t.Errorf("kubectl %s: want %q in:\n%s", c.args, c.want, out)
		}
	}
}
