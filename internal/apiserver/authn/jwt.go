package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// The one signature algorithm of our own tokens: ECDSA on P-256 with SHA-256 (RFC 7518). A signature is r and s, 32 bytes each.
const (
	algorithm  = "ES256"
	halfLength = 32
)

var b64 = base64.RawURLEncoding

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitempty"`
}

// keyID names a public key as upstream does: the hash of its DER form.
func keyID(k *ecdsa.PublicKey) (string, error) {
	if k.Curve != elliptic.P256() {
		return "", errors.New("token key: curve must be P-256")
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return "", fmt.Errorf("token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return b64.EncodeToString(sum[:]), nil
}

// sign returns the compact form of claims.
func sign(key *ecdsa.PrivateKey, id string, claims any) (string, error) {
	h, err := json.Marshal(header{algorithm, id})
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := b64.EncodeToString(h) + "." + b64.EncodeToString(c)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 2*halfLength)
	r.FillBytes(sig[:halfLength])
	s.FillBytes(sig[halfLength:])
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

// verify checks the signature with the key of the given ID. A token that names no key is tried with it.
func (c compact) verify(key *ecdsa.PublicKey, id string) error {
	if c.header.KeyID != "" && c.header.KeyID != id {
		return errNoKey
	}
	if c.header.Algorithm != algorithm || len(c.signature) != 2*halfLength {
		return errSignature
	}
	sum := sha256.Sum256([]byte(c.signed))
	r, s := new(big.Int).SetBytes(c.signature[:halfLength]), new(big.Int).SetBytes(c.signature[halfLength:])
	if !ecdsa.Verify(key, sum[:], r, s) {
		return errSignature
	}
	return nil
}
