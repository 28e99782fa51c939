package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// verifier is one public key that tokens may be signed with.
type verifier struct {
	id        string
	algorithm string
	key       crypto.PublicKey // *ecdsa.PublicKey or *rsa.PublicKey
}

// keys are what tokens are signed and verified with at one time, and what the world is told of them. They do not change;
// a rotation puts others in their place.
type keys struct {
	sign     *ecdsa.PrivateKey
	all      []verifier // the signer's first
	jwks     []byte
	metadata []byte
}

// SetKeys makes sign the key of all tokens from now on. Tokens that are signed with it or with one of verify hold, all others do
// not any more. It is safe at any time.
func (i *Issuer) SetKeys(sign *ecdsa.PrivateKey, verify ...crypto.PublicKey) error {
	if sign == nil {
		return errors.New("token issuer: no key")
	}
	if sign.Curve != elliptic.P256() {
		return errors.New("token key: curve must be P-256")
	}
	k := &keys{sign: sign}
	for _, key := range append([]crypto.PublicKey{&sign.PublicKey}, verify...) {
		v, err := newVerifier(key)
		if err != nil {
			return err
		}
		if k.find(v.id) == nil {
			k.all = append(k.all, v)
		}
	}
	if err := k.render(i.c.URL, i.c.JWKSURI); err != nil {
		return err
	}
	i.keys.Store(k)
	return nil
}

// KeyID names a public key as upstream does, in the header of each token: the hash of its DER form.
func KeyID(k crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return "", fmt.Errorf("token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return b64.EncodeToString(sum[:]), nil
}

func newVerifier(key crypto.PublicKey) (v verifier, err error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		v.algorithm = "RS256"
	case *ecdsa.PublicKey:
		e, ok := curves[k.Curve]
		if !ok {
			return v, fmt.Errorf("token key: curve %s: must be P-256, P-384 or P-521", k.Params().Name)
		}
		v.algorithm = e.algorithm
	default:
		return v, fmt.Errorf("token key: %T: must be RSA or ECDSA", key)
	}
	v.key = key
	v.id, err = KeyID(key)
	return v, err
}

func (k *keys) find(id string) *verifier {
	for i := range k.all {
		if k.all[i].id == id {
			return &k.all[i]
		}
	}
	return nil
}

// verify checks a token's signature and returns the key that made it. A token that names no key is tried with all.
func (k *keys) verify(c compact) (id string, err error) {
	if c.header.KeyID != "" {
		v := k.find(c.header.KeyID)
		if v == nil {
			return "", errNoKey
		}
		return v.id, v.verify(c)
	}
	for i := range k.all {
		if err = k.all[i].verify(c); err == nil {
			return k.all[i].id, nil
		}
	}
	return "", err
}

func (v *verifier) verify(c compact) error {
	if c.header.Algorithm != v.algorithm {
		return errSignature
	}
	switch key := v.key.(type) {
	case *ecdsa.PublicKey:
		e := curves[key.Curve]
		if len(c.signature) != 2*e.half {
			return errSignature
		}
		r, s := new(big.Int).SetBytes(c.signature[:e.half]), new(big.Int).SetBytes(c.signature[e.half:])
		if ecdsa.Verify(key, digest(e.hash, c.signed), r, s) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest(crypto.SHA256, c.signed), c.signature) == nil {
			return nil
		}
	}
	return errSignature
}

func digest(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

// render writes both public documents.
func (k *keys) render(issuer, uri string) (err error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	var algorithms []string
	for i := range k.all {
		j, err := k.all[i].public()
		if err != nil {
			return err
		}
		set.Keys = append(set.Keys, j)
		algorithms = append(algorithms, j.Algorithm)
	}
	slices.Sort(algorithms)
	if k.jwks, err = json.Marshal(set); err != nil {
		return err
	}
	k.metadata, err = json.Marshal(openIDConfiguration{issuer, uri, []string{"id_token"}, []string{"public"}, slices.Compact(algorithms)})
	return err
}
