package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Where the keys of service account tokens are: one signs, those in the directory are only believed.
const (
	signingKeyFile = "sa.key"
	believedKeys   = "sa-keys"
)

// A TokenKey is a public key that service account tokens are verified with.
type TokenKey struct {
	ID    string    `json:"id"` // as the tokens' headers and the key set (/openid/v1/jwks) name it
	Kind  string    `json:"kind"`
	Signs bool      `json:"signs"`
	File  string    `json:"file"`
	Since time.Time `json:"since"` // when the file was written

	Public crypto.PublicKey `json:"-"`
}

// TokenKeys reads all of them: that which signs, then the others in the order of their files. A file of sa-keys may hold any
// number of PEM blocks: public or private keys, RSA or ECDSA, or certificates, as kube-apiserver's
// --service-account-key-file. Errors name the file.
func TokenKeys(dir string) ([]TokenKey, error) {
	signs, err := keysOf(filepath.Join(dir, signingKeyFile))
	if err != nil {
		return nil, err
	}
	signs[0].Signs = true
	more, err := os.ReadDir(filepath.Join(dir, believedKeys))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := signs[:1]
	for _, f := range more {
		if f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		some, err := keysOf(filepath.Join(dir, believedKeys, f.Name()))
		if err != nil {
			return nil, err
		}
		for _, k := range some {
			if !slices.ContainsFunc(all, func(o TokenKey) bool { return o.ID == k.ID }) {
				all = append(all, k)
			}
		}
	}
	return all, nil
}

// RotateTokenKey makes a new key that signs. The one before it is believed until RemoveTokenKey.
//
//	signs -> signs, and believed -> believed, another signs
//
// A crash between the steps leaves a key that is named twice, which changes nothing.
func RotateTokenKey(dir string) error {
	old, err := keysOf(filepath.Join(dir, signingKeyFile))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(old[0].Public)
	if err != nil {
		return err
	}
	believed := filepath.Join(dir, believedKeys)
	if err := os.MkdirAll(believed, 0o700); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(believed, old[0].ID+".pub"), 0o600, pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der})); err != nil {
		return err
	}
	if err := errors.Join(syncDir(believed), syncDir(dir)); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	data, err := encodeKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writeFile(filepath.Join(dir, signingKeyFile), 0o600, data), syncDir(dir))
}

// RemoveTokenKey believes the key of this id no more: all tokens that it signed end. The key that signs stays.
func RemoveTokenKey(dir, id string) error {
	all, err := TokenKeys(dir)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(k TokenKey) bool { return k.ID == id })
	switch {
	case i < 0:
		return fmt.Errorf("no key %q; `minato keys list` lists them", id)
	case all[i].Signs:
		return fmt.Errorf("the key %s signs: let another sign first, with `minato keys rotate`", id)
	case len(keysIn(all, all[i].File)) > 1:
		return fmt.Errorf("%s holds other keys too: take this one out of the file by hand, and start the cluster again", all[i].File)
	}
	if err := os.Remove(all[i].File); err != nil {
		return err
	}
	return syncDir(filepath.Dir(all[i].File))
}

func keysIn(all []TokenKey, file string) []TokenKey {
	return slices.DeleteFunc(slices.Clone(all), func(k TokenKey) bool { return k.File != file })
}

const publicBlock = "PUBLIC KEY"

// keysOf reads the public keys of one file, at least one.
func keysOf(file string) ([]TokenKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	var out []TokenKey
	for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
		if b.Type == "EC PARAMETERS" { // which openssl writes before a key
			continue
		}
		k := TokenKey{File: file, Since: st.ModTime()}
		if k.Public, err = publicKey(b); err == nil {
			k.ID, k.Kind, err = describe(k.Public)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, b.Type, err)
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no PEM block with a key: restore the file, or remove it", file)
	}
	return out, nil
}

// publicKey is what b holds, or the public half of it.
func publicKey(b *pem.Block) (crypto.PublicKey, error) {
	half := func(k any, err error) (crypto.PublicKey, error) {
		if err != nil {
			return nil, err
		}
		s, ok := k.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("%T is no key that signs", k)
		}
		return s.Public(), nil
	}
	switch b.Type {
	case publicBlock:
		return x509.ParsePKIXPublicKey(b.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(b.Bytes)
	case certBlock:
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	case keyBlock:
		k, err := x509.ParseECPrivateKey(b.Bytes)
		return half(k, err)
	case "RSA PRIVATE KEY":
		k, err := x509.ParsePKCS1PrivateKey(b.Bytes)
		return half(k, err)
	case "PRIVATE KEY":
		return half(x509.ParsePKCS8PrivateKey(b.Bytes))
	}
	return nil, errors.New("neither a key nor a certificate")
}

// describe names a key as upstream does in its tokens: by the hash of its DER form.
func describe(k crypto.PublicKey) (id, kind string, err error) {
	switch key := k.(type) {
	case *rsa.PublicKey:
		kind = fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		kind = "ECDSA " + key.Params().Name
	default:
		return "", "", fmt.Errorf("%T: must be RSA or ECDSA", k)
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), kind, nil
}

// ReadTokenKeys reads the key that signs and those that are believed beside it.
func ReadTokenKeys(dir string) (sign *ecdsa.PrivateKey, believed []crypto.PublicKey, err error) {
	data, err := os.ReadFile(filepath.Join(dir, signingKeyFile))
	if err != nil {
		return nil, nil, err
	}
	if sign, err = decodeKey(data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, signingKeyFile), err)
	}
	all, err := TokenKeys(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range all[1:] {
		believed = append(believed, k.Public)
	}
	return sign, believed, nil
}
