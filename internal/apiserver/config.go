package apiserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/store"
)

// Config is everything that a Server is made of.
type Config struct {
	Store store.Store
	// SoleWriter says that nobody else writes to Store: reads then need no round trip to it.
	SoleWriter bool
	Log        *slog.Logger

	// Secure is called once by New, with the door to the server's own state, and returns who may do what.
	// The door answers once Run has loaded the state.
	Secure func(o *Objects) (Security, error)
	// Prepare is called by Run before it calls ready, to write the objects that every cluster has (bootstrap.Ensure).
	// nil: nothing is written.
	Prepare func(ctx context.Context, s bootstrap.Store) error

	ServiceCIDR netip.Prefix // ClusterIPs; zero: 10.96.0.0/12
	NodePorts   PortRange    // zero: 30000-32767

	Address string         // host:port that discovery names as the server's
	Checks  []health.Check // more conditions of /readyz and /livez
	Metrics *health.Metrics
	// Paths are more handlers outside the resource tree, by exact path. They run behind authentication and authorisation.
	Paths map[string]http.Handler

	// Kubelet is the identity shown to kubelets and the authorities trusted for them (logs, exec, port-forward).
	Kubelet *tls.Config
	// Dial reaches nodes, pods and services from this server; nil: the plain network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	RequestTimeout time.Duration // of requests that are not long-running; zero: 60 s
	Now            func() time.Time
	Random         func() string // five characters that end a generated name; nil: from a generator of random ones
}

// PortRange is an inclusive range of ports.
type PortRange struct{ First, Last int32 }

// Security is what guards a Server.
type Security struct {
	Authenticator authenticator.Request
	Authorizer    authorizer.UnconditionalAuthorizer
	Rules         authorizer.RuleResolver // SelfSubjectRulesReview; nil: that review is refused
	Admission     *admission.Chain        // nil: everything is admitted as it is
	Tokens        TokenIssuer             // nil: TokenRequests are refused
}

// TokenIssuer signs service account tokens; authn.Issuer is one.
type TokenIssuer interface {
	Issue(ctx context.Context, namespace, name string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	JWKS() []byte
	OpenIDConfiguration() []byte
}
