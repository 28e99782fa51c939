package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/authn"
	"minato.dev/minato/internal/apiserver/authz"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers"
	"minato.dev/minato/internal/controllers/certificates"
	"minato.dev/minato/internal/controllers/nodeipam"
	"minato.dev/minato/internal/controllers/resourcequota"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

// plane is the control plane's ground: etcd and the API server on it.
type plane struct {
	a       *assembly
	metrics *health.Metrics
	server  *apiserver.Server // set before ready
	tokens  *authn.Issuer     // set before ready
}

// run opens the store, loads the API server and answers on l until ctx ends.
func (p *plane) run(ctx context.Context, l net.Listener, ready func()) error {
	st, err := p.open(ctx)
	if st == nil {
		return err
	}
	defer func() {
		if err := st.Close(); err != nil {
			p.a.log.Error("etcd did not close cleanly", "err", err)
		}
	}()
	if err != nil {
		return err
	}
	p.a.report("etcd")
	if p.server, err = apiserver.New(p.config(st)); err != nil {
		return err
	}
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("memory", run.KeepMemory)
		loaded := make(chan struct{})
		s.Go("api server", func(ctx context.Context) error {
			return p.server.Run(ctx, func() { close(loaded) })
		})
		select {
		case <-loaded:
		case <-s.Context().Done():
			return nil
		}
		s.Go("https", func(ctx context.Context) error { return p.server.Serve(ctx, l, p.tls()) })
		p.a.report("API")
		ready()
		return nil
	})
}

// open opens the store while the certificates are made. There may be a store and an error.
func (p *plane) open(ctx context.Context) (st *store.Etcd, err error) {
	err = run.With(ctx, func(s *run.Scope) (err error) {
		s.Go("certificates", func(context.Context) error { return p.a.certify() })
		if st, err = store.Open(ctx, store.Config{Dir: p.a.paths.etcd(), Log: p.a.log.With("room", "etcd")}); err != nil {
			return fmt.Errorf("open etcd: %w", err)
		}
		return nil
	})
	return st, err
}

func (p *plane) tls() *tls.Config {
	show := p.a.shown(func(b *pki.Bundle) *pki.Pair { return b.APIServer })
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return show(), nil },
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
}

func (p *plane) config(st store.Store) apiserver.Config {
	toKubelets := p.a.shown(func(b *pki.Bundle) *pki.Pair { return b.KubeletClient })
	return apiserver.Config{
		Store: st, SoleWriter: true, Log: p.a.log.With("room", "apiserver"),
		Secure: p.secure,
		Prepare: func(ctx context.Context, s bootstrap.Store) error {
			r, err := bootstrap.Ensure(ctx, s, p.bootstrap())
			for _, problem := range r.Problems {
				p.a.log.Warn("an object that every cluster has is not as it should be", "problem", problem)
			}
			return err
		},
		ServiceCIDR: p.a.id.ServiceCIDR,
		Metrics:     p.metrics,
		Address:     p.a.address(),
		Kubelet: &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return toKubelets(), nil },
			RootCAs: p.a.pki.CA.Pool(), MinVersion: tls.VersionTLS12},
	}
}

func (p *plane) bootstrap() bootstrap.Config {
	return bootstrap.Config{
		AdvertiseIP: p.a.nodeIP.AsSlice(), AdvertisePort: p.a.id.Port,
		ServiceIP: p.a.id.ServiceIP().AsSlice(), ServiceCIDRs: []string{p.a.id.ServiceCIDR.String()},
		ClientCAPEM: p.a.pki.CA.CertPEM, FrontProxyPEM: p.a.pki.FrontProxyCA.CertPEM, FrontProxyName: "front-proxy-client",
	}
}

// secure makes the usual guards: certificates and tokens, node authorizer and RBAC, the admission chain.
func (p *plane) secure(o *apiserver.Objects) (apiserver.Security, error) {
	tokens, err := authn.NewIssuer(authn.IssuerConfig{Key: p.a.pki.ServiceAccountKey, Verify: p.a.pki.BelievedKeys, Objects: o})
	if err != nil {
		return apiserver.Security{}, err
	}
	p.tokens = tokens
	p.a.tokens.issuer.Store(tokens)
	az := authz.New(authz.Config{CaughtUp: o.CaughtUp})
	for _, gr := range authz.Watched() {
		o.OnChange(gr, az.Observe)
	}
	return apiserver.Security{
		Authenticator: authn.New(authn.Config{ClientCA: p.a.pki.CA.Pool(), Tokens: tokens, Bootstrap: o, Anonymous: true}),
		Authorizer:    az, Rules: az, Tokens: tokens,
		Admission: admission.New(admission.Config{Objects: o, Authorizer: az, Escalation: az, Log: p.a.log.With("room", "admission"),
			WriteQuotaStatus: func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
				changed := q.DeepCopy()
				return changed, o.Update(ctx, corev1.Resource("resourcequotas"), runtime.Object(changed))
			}}),
	}, nil
}

// knowledge is what the controllers must know of the API server's rules.
func (p *plane) knowledge() controllers.Knowledge {
	return controllers.Knowledge{CA: p.a.pki.CA.CertPEM, Aggregate: bootstrap.Aggregate, Sign: p.tokens.LegacyToken,
		NodeGrace: p.a.cfg.NodeGrace, Nodes: nodeipam.Ranges{Cluster: p.a.id.PodCIDR, Reserved: p.a.id.nodeCIDR()},
		Issue: certificates.Rules{Sign: p.a.pki.CA.SignRequest, Closed: []netip.Prefix{p.a.id.PodCIDR, p.a.id.ServiceCIDR}},
		Quota: resourcequota.Counting{Counted: admission.QuotaCounts, Used: func(ctx context.Context, q *corev1.ResourceQuota) (corev1.ResourceList, error) {
			return admission.QuotaUsage(ctx, p.server.Objects(), q)
		}}}
}

// address is where clients on other machines reach the API server.
func (a *assembly) address() string {
	return net.JoinHostPort(a.nodeIP.String(), strconv.Itoa(a.id.Port))
}

// client is an in-process client that shows a certificate: the same checks as for anybody else, without a socket. agent begins with
// the name of upstream's program, which becomes the field manager of what it writes: tools know those.
func (p *plane) client(show func() *tls.Certificate, agent string) *client.Client {
	return client.New("https://"+p.a.address(), p.server.InProcessShowing(show), agent).Telling(func(method string, code int, took time.Duration) {
		p.metrics.Called(p.a.address(), method, code, took)
	})
}

// account is a client that acts as a service account of kube-system, by a certificate that lives in memory only.
func (p *plane) account(name string) (*client.Client, error) {
	shown, err := p.a.certs.Client("system:serviceaccount:kube-system:"+name, "system:serviceaccounts", "system:serviceaccounts:kube-system")
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", name, err)
	}
	return p.client(shown.TLS, "kube-controller-manager/"+p.a.cfg.Version+"/"+name), nil
}
