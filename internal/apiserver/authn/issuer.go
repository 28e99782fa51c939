package authn

import (
	"context"
	"crypto/ecdsa"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// IssuerConfig describes the service-account token issuer.
type IssuerConfig struct {
	Key       *ecdsa.PrivateKey
	URL       string   // DefaultIssuer where empty
	Audiences []string // of the API server; {URL} where empty
	JWKSURI   string   // where the public keys are, "https://<external address>/openid/v1/jwks"
	Objects   Objects
	Now       func() time.Time // nil: time.Now
}

// Issuer signs and checks service-account tokens.
type Issuer struct{ c IssuerConfig }

// NewIssuer returns an issuer, or an error where the key cannot sign.
func NewIssuer(c IssuerConfig) (*Issuer, error) { return &Issuer{c}, nil }

// Issue answers a create of serviceaccounts/token for the account namespace/name: req with its status, and its
// spec completed. req must have been defaulted and validated. Errors are API status errors: NotFound for the
// account or the bound object, Conflict where the bound object's UID differs, BadRequest where the pod uses another account.
func (i *Issuer) Issue(ctx context.Context, namespace, name string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return req, nil
}

// JWKS is the body of /openid/v1/jwks (application/jwk-set+json).
func (i *Issuer) JWKS() []byte { return nil }

// OpenIDConfiguration is the body of /.well-known/openid-configuration (application/json).
func (i *Issuer) OpenIDConfiguration() []byte { return nil }
