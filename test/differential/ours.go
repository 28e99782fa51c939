package differential

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

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

// serviceCIDR is the range of Services on both sides.
const serviceCIDR = "10.97.0.0/16"

// A Server is our API server alone, without controllers, scheduler or node, as `minato up` guards it.
type Server struct {
	Store  store.Store
	URL    string
	PKI    *pki.Bundle
	cancel context.CancelFunc
	scope  *run.Scope
}

// StartServer opens the etcd in dir/etcd and serves it at a free port of loopback, with the authorities in dir/pki.
func StartServer(ctx context.Context, dir string, log *slog.Logger) (*Server, error) {
	bundle, err := pki.EnsureAll(filepath.Join(dir, "pki"), pki.Names{Node: "node", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, ServiceIP: net.IPv4(10, 97, 0, 1)})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return ServeOn(ctx, l, dir, bundle, log)
}

// ServeOn opens the etcd in dir/etcd and serves it on l, which it closes.
func ServeOn(ctx context.Context, l net.Listener, dir string, bundle *pki.Bundle, log *slog.Logger) (*Server, error) {
	if err := os.MkdirAll(filepath.Join(dir, "etcd"), 0o700); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	st, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, "etcd"), Log: log})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &Server{Store: st, URL: "https://" + l.Addr().String(), PKI: bundle}
	server, err := apiserver.New(s.config(l.Addr().(*net.TCPAddr), log))
	if err != nil {
		return nil, errors.Join(err, l.Close(), st.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel, s.scope = cancel, run.NewScope(running)
	ready := make(chan struct{})
	s.scope.Go("apiserver", func(ctx context.Context) error {
		return run.Stages(ctx, []run.Stage{
			{Name: "apiserver", Run: server.Run},
			{Name: "https", Run: func(ctx context.Context, ok func()) error {
				ok()
				close(ready)
				return server.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{bundle.APIServer.TLS}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert})
			}},
		}, nil)
	})
	select {
	case <-ready:
		return s, nil
	case <-s.scope.Context().Done():
	case <-time.After(time.Minute):
		err = errors.New("our API server was not ready within a minute")
	}
	return nil, errors.Join(err, s.Close())
}

// TLS is the administrator's side of a connection.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.PKI.Admin.TLS}, RootCAs: s.PKI.CA.Pool(), MinVersion: tls.VersionTLS12}
}

// Close stops the server and closes its store.
func (s *Server) Close() error {
	s.cancel()
	return errors.Join(s.scope.Wait(), s.Store.Close())
}

func (s *Server) config(at *net.TCPAddr, log *slog.Logger) apiserver.Config {
	return apiserver.Config{
		Store: s.Store, SoleWriter: true, Log: log, Secure: func(o *apiserver.Objects) (apiserver.Security, error) { return s.secure(o, log) },
		Prepare: func(ctx context.Context, st bootstrap.Store) error {
			r, err := bootstrap.Ensure(ctx, st, bootstrap.Config{
				AdvertiseIP: at.IP, AdvertisePort: at.Port, ServiceIP: net.IPv4(10, 97, 0, 1), ServiceCIDRs: []string{serviceCIDR},
				ClientCAPEM: s.PKI.CA.CertPEM, FrontProxyPEM: s.PKI.FrontProxyCA.CertPEM, FrontProxyName: "front-proxy-client",
			})
			for _, problem := range r.Problems {
				err = errors.Join(err, errors.New(problem))
			}
			return err
		},
		ServiceCIDR: netip.MustParsePrefix(serviceCIDR), Metrics: health.NewMetrics(), Address: at.String(),
		// Any kubelet is believed, as by upstream's, which is told of no authority here.
		Kubelet: &tls.Config{Certificates: []tls.Certificate{s.PKI.KubeletClient.TLS}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
}

// secure guards the server as a cluster's is guarded.
func (s *Server) secure(o *apiserver.Objects, log *slog.Logger) (apiserver.Security, error) {
	tokens, err := authn.NewIssuer(authn.IssuerConfig{Key: s.PKI.ServiceAccountKey, Objects: o})
	if err != nil {
		return apiserver.Security{}, err
	}
	az := authz.New(authz.Config{CaughtUp: o.CaughtUp})
	for _, gr := range authz.Watched() {
		o.OnChange(gr, az.Observe)
	}
	return apiserver.Security{
		Authenticator: authn.New(authn.Config{ClientCA: s.PKI.CA.Pool(), Tokens: tokens, Anonymous: true}),
		Authorizer:    az, Rules: az, Tokens: tokens,
		Admission: admission.New(admission.Config{Objects: o, Authorizer: az, Escalation: az, Log: log,
			WriteQuotaStatus: func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
				changed := q.DeepCopy()
				return changed, o.Update(ctx, corev1.Resource("resourcequotas"), runtime.Object(changed))
			}}),
	}, nil
}
