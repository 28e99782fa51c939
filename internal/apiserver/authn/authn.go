package authn

import (
	"context"
	"crypto/x509"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// Objects reads the live objects that a token is bound to. Get returns the object in its v1 type (shared, not to be
// changed) or an error for which apierrors.IsNotFound holds.
type Objects interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
}

// DefaultIssuer names the tokens' issuer, and is the audience of the API server itself.
const DefaultIssuer = "https://kubernetes.default.svc.cluster.local"

// Config says whom to believe.
type Config struct {
	ClientCA  *x509.CertPool   // nil: no client certificates
	Tokens    *Issuer          // nil: no service-account tokens
	Anonymous bool             // requests without credentials become system:anonymous
	Now       func() time.Time // nil: time.Now
}

// New returns the authenticator of the API server. It answers (nil, false, nil) where the request has no
// credentials and anonymous ones are refused, and an error where it has bad ones: both mean 401.
func New(c Config) authenticator.Request {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &union{c: c}
}
