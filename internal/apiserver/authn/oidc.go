package authn

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"math/big"
)

// Paths of the public documents about the issuer.
const (
	OpenIDConfigurationPath = "/.well-known/openid-configuration"
	JWKSPath                = "/openid/v1/jwks"
)

// jwk is a public key as RFC 7517 writes it: Curve, X and Y of one on a curve, N and E of an RSA key.
type jwk struct {
	Use       string `json:"use"`
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv,omitempty"`
	Algorithm string `json:"alg"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

type openIDConfiguration struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

func (v *verifier) public() (jwk, error) {
	out := jwk{Use: "sig", KeyID: v.id, Algorithm: v.algorithm}
	switch key := v.key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 0x04, x, y
		if err != nil {
			return out, err
		}
		half := curves[key.Curve].half
		out.KeyType, out.Curve = "EC", key.Params().Name
		out.X, out.Y = b64.EncodeToString(point[1:1+half]), b64.EncodeToString(point[1+half:])
	case *rsa.PublicKey:
		out.KeyType, out.N, out.E = "RSA", b64.EncodeToString(key.N.Bytes()), b64.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	}
	return out, nil
}

// JWKS is the body of /openid/v1/jwks (application/jwk-set+json).
func (i *Issuer) JWKS() []byte { return i.keys.Load().jwks }

// OpenIDConfiguration is the body of /.well-known/openid-configuration (application/json).
func (i *Issuer) OpenIDConfiguration() []byte { return i.keys.Load().metadata }
