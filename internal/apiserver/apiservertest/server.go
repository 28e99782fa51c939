// Package apiservertest starts a real API server on the memory store, for the tests of every room that talks to one.
//
// Start is allow-all: every request is an administrator's. The server and its goroutines end with the test.
package apiservertest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

// Server is one running API server.
type Server struct {
	*apiserver.Server
	URL    string // http://127.0.0.1:port
	Client *client.Client
	Store  store.Store
}

// Start runs a server that lets everybody do everything, with the namespaces that every cluster has.
// change, where given, adjusts its configuration first.
func Start(t testing.TB, change ...func(*apiserver.Config)) *Server {
	t.Helper()
	st := store.NewMemory()
	cfg := apiserver.Config{Store: st, SoleWriter: true, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Secure: AllowAll, Prepare: namespaces}
	for _, f := range change {
		f(&cfg)
	}
	s, err := apiserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &Server{Server: s, URL: "http://" + l.Addr().String(), Store: cfg.Store}
	out.Client = client.New(out.URL, s.InProcess(tls.Certificate{}), "test/1")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	scope := run.NewScope(ctx)
	ready := make(chan struct{})
	scope.Go("stages", func(ctx context.Context) error {
		return run.Stages(ctx, []run.Stage{
			{Name: "apiserver", Run: s.Run},
			{Name: "listener", Run: func(ctx context.Context, ok func()) error { ok(); close(ready); return s.Serve(ctx, l, nil) }},
		}, nil)
	})
	t.Cleanup(func() {
		cancel()
		if err := scope.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
		_ = st.Close()
	})
	select {
	case <-ready:
	case <-scope.Context().Done():
		t.Fatalf("server did not start: %v", scope.Wait())
	case <-time.After(30 * time.Second):
		t.Fatal("server did not start in time")
	}
	return out
}

// AllowAll is the security of a server without any.
func AllowAll(*apiserver.Objects) (apiserver.Security, error) {
	admin := &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	return apiserver.Security{
		Authenticator: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
			return &authenticator.Response{User: admin}, true, nil
		}),
		Authorizer: authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionAllow, "", nil
		}),
	}, nil
}

// namespaces writes the namespaces that every cluster has.
func namespaces(ctx context.Context, s bootstrap.Store) error {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}},
			Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
		if err := s.Create(ctx, schema.GroupResource{Resource: "namespaces"}, ns); err != nil {
			return err
		}
	}
	return nil
}
