package authn

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
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
	// ClientCA issued the client certificates to believe; nil: none. The listener must ask for certificates without
	// verifying them (tls.RequestClientCert), so that a bad one is answered with 401.
	ClientCA  *x509.CertPool
	Tokens    *Issuer          // nil: no service-account tokens
	Bootstrap Objects          // where bootstrap tokens are; nil: there are none
	Anonymous bool             // requests without credentials become system:anonymous
	Now       func() time.Time // nil: time.Now
}

// New returns the authenticator of the API server. It answers (nil, false, nil) where the request has no
// credentials and anonymous ones are refused, and an error where it has bad ones only: both mean 401.
func New(c Config) authenticator.Request {
	if c.Now == nil {
		c.Now = time.Now
	}
	u := &union{anonymous: c.Anonymous}
	if c.ClientCA != nil {
		u.ways = append(u.ways, newCertificates(c.ClientCA, c.Now))
	}
	if c.Tokens != nil {
		u.ways = append(u.ways, bearertoken.New(c.Tokens), websocket.NewProtocolAuthenticator(c.Tokens))
	}
	if c.Bootstrap != nil {
		u.ways = append(u.ways, bearertoken.New(bootstrap{c.Bootstrap, c.Now}))
	}
	return u
}

// union tries one way after the other. A request with bad credentials is not taken for an anonymous one.
type union struct {
	ways      []authenticator.Request
	anonymous bool
}

// AuthenticateRequest implements authenticator.Request.
func (u *union) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	var bad []error
	for _, way := range u.ways {
		resp, ok, err := way.AuthenticateRequest(req)
		if ok {
			return authenticated(resp), true, nil
		}
		if err != nil {
			bad = append(bad, err)
		}
	}
	if len(bad) > 0 {
		return nil, false, errors.Join(bad...)
	}
	if !u.anonymous {
		return nil, false, nil
	}
	auds, _ := authenticator.AudiencesFrom(req.Context())
	return &authenticator.Response{Audiences: auds, User: &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}}, true, nil
}

// authenticated adds the group of everyone who is someone. Certificates may say that they are nobody.
func authenticated(r *authenticator.Response) *authenticator.Response {
	u := r.User
	if u.GetName() == user.Anonymous || slices.Contains(u.GetGroups(), user.AllAuthenticated) || slices.Contains(u.GetGroups(), user.AllUnauthenticated) {
		return r
	}
	return &authenticator.Response{Audiences: r.Audiences, User: &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(),
		Groups: append(slices.Clone(u.GetGroups()), user.AllAuthenticated), Extra: u.GetExtra()}}
}
