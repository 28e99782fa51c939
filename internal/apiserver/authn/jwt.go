package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha512" // ES384 and ES512
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// algorithm is how our own tokens are signed: ECDSA on P-256 with SHA-256 (RFC 7518).
const algorithm = "ES256"

// curve says how tokens are signed with keys on one curve. A signature is r and s, half bytes each.
type curve struct {
	algorithm string
	hash      crypto.Hash
	half      int
}

var curves = map[elliptic.Curve]curve{
	elliptic.P256(): {algorithm, crypto.SHA256, 32},
	elliptic.P384(): {"ES384", crypto.SHA384, 48},
	elliptic.P521(): {"ES512", crypto.SHA512, 66},
}

var b64 = base64.RawURLEncoding

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitempty"`
}

// issue signs claims and returns their compact form.
func (k *keys) issue(claims any) (string, error) {
	h, err := json.Marshal(header{algorithm, k.all[0].id})
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := b64.EncodeToString(h) + "." + b64.EncodeToString(c)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.sign, sum[:])
	if err != nil {
		return "", err
	}
	half := curves[k.sign.Curve].half
	sig := make([]byte, 2*half)
	r.FillBytes(sig[:half])
	s.FillBytes(sig[half:])
	return text + "." + b64.EncodeToString(sig), nil
}

// A compact token taken apart, not yet verified.
type compact struct {
	header    header
	claims    []byte // JSON
	signed    string
	signature []byte
}

// parse takes a token apart; ok is false where it has not the form of one.
func parse(token string) (c compact, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || strings.Count(token, ".") != 2 {
		return compact{}, false
	}
	c.signed = token[:i]
	h, claims, _ := strings.Cut(c.signed, ".")
	head, err := b64.DecodeString(h)
	if err != nil || json.Unmarshal(head, &c.header) != nil {
		return compact{}, false
	}
	if c.claims, err = b64.DecodeString(claims); err != nil {
		return compact{}, false
	}
	c.signature, err = b64.DecodeString(token[i+1:])
	return c, err == nil
}

var (
	errNoKey     = errors.New("invalid signature, no keys found")
	errSignature = errors.New("invalid signature")
)
