package authn

import "encoding/json"

// Paths of the public documents about the issuer.
const (
	OpenIDConfigurationPath = "/.well-known/openid-configuration"
	JWKSPath                = "/openid/v1/jwks"
)

// jwk is a public key as RFC 7517 writes it.
type jwk struct {
	Use       string `json:"use"`
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv"`
	Algorithm string `json:"alg"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

type openIDConfiguration struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// renderMetadata writes both documents once: they do not change while the program runs.
func (i *Issuer) renderMetadata() (err error) {
	point, err := i.c.Key.PublicKey.Bytes() // 0x04, x, y
	if err != nil {
		return err
	}
	x, y := point[1:1+halfLength], point[1+halfLength:]
	i.jwks, err = json.Marshal(map[string][]jwk{"keys": {{"sig", "EC", i.keyID, "P-256", algorithm, b64.EncodeToString(x), b64.EncodeToString(y)}}})
	if err != nil {
		return err
	}
	i.metadata, err = json.Marshal(openIDConfiguration{i.c.URL, i.c.JWKSURI, []string{"id_token"}, []string{"public"}, []string{algorithm}})
	return err
}

// JWKS is the body of /openid/v1/jwks (application/jwk-set+json).
func (i *Issuer) JWKS() []byte { return i.jwks }

// OpenIDConfiguration is the body of /.well-known/openid-configuration (application/json).
func (i *Issuer) OpenIDConfiguration() []byte { return i.metadata }
