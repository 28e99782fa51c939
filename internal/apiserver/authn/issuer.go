package authn

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// LegacyIssuer is the issuer of tokens that are stored in Secrets.
const LegacyIssuer = "kubernetes/serviceaccount"

// IssuerConfig describes the service-account token issuer.
type IssuerConfig struct {
	Key       *ecdsa.PrivateKey // on P-256
	URL       string            // DefaultIssuer where empty
	Audiences []string          // of the API server; {URL} where empty
	JWKSURI   string            // where the public keys are; URL+"/openid/v1/jwks" where empty
	Objects   Objects
	// MarkUsed, which may be nil, is told of each use of a legacy token whose Secret does not carry today's date in
	// the label LastUsedLabel yet. It must not block.
	MarkUsed func(ctx context.Context, s *corev1.Secret, today string)
	Now      func() time.Time // nil: time.Now
}

// Issuer signs and checks service-account tokens. As an authenticator.Token it leaves tokens of other issuers alone.
type Issuer struct {
	c        IssuerConfig
	keyID    string
	checked  *memory[*checked]
	jwks     []byte
	metadata []byte
}

// How many tokens are remembered.
const rememberedTokens = 4096

// NewIssuer returns an issuer, or an error where the key cannot sign.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
	if c.Key == nil {
		return nil, errors.New("token issuer: no key")
	}
	id, err := keyID(&c.Key.PublicKey)
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		c.URL = DefaultIssuer
	}
	if len(c.Audiences) == 0 {
		c.Audiences = []string{c.URL}
	}
	if c.JWKSURI == "" {
		c.JWKSURI = c.URL + "/openid/v1/jwks"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Issuer{c: c, keyID: id, checked: newMemory[*checked](rememberedTokens)}
	return i, i.renderMetadata()
}

// Audiences are those of the API server: TokenReviews without audiences mean them.
func (i *Issuer) Audiences() []string { return i.c.Audiences }
