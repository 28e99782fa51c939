package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// LegacyIssuer is the issuer of tokens that are stored in Secrets.
const LegacyIssuer = "kubernetes/serviceaccount"

// IssuerConfig describes the service-account token issuer.
type IssuerConfig struct {
	Key       *ecdsa.PrivateKey  // on P-256: signs
	Verify    []crypto.PublicKey // more keys, RSA or ECDSA, whose tokens hold: those that signed before
	URL       string             // DefaultIssuer where empty
	Audiences []string           // of the API server; {URL} where empty
	JWKSURI   string             // where the public keys are; URL+"/openid/v1/jwks" where empty
	Objects   Objects
	// MarkUsed, which may be nil, is told of each use of a legacy token whose Secret does not carry today's date in
	// the label LastUsedLabel yet. It must not block.
	MarkUsed func(ctx context.Context, s *corev1.Secret, today string)
	Now      func() time.Time // nil: time.Now
}

// Issuer signs and checks service-account tokens. As an authenticator.Token it leaves tokens of other issuers alone.
type Issuer struct {
	c       IssuerConfig
	keys    atomic.Pointer[keys]
	checked *memory[*checked]
}

// How many tokens are remembered.
const rememberedTokens = 4096

// NewIssuer returns an issuer, or an error where a key cannot be used.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
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
	i := &Issuer{c: c, checked: newMemory[*checked](rememberedTokens)}
	return i, i.SetKeys(c.Key, c.Verify...)
}

// Audiences are those of the API server: TokenReviews without audiences mean them.
func (i *Issuer) Audiences() []string { return i.c.Audiences }
