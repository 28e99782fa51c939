package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// PEM block types.
const (
	certBlock = "CERTIFICATE"
	keyBlock  = "EC PRIVATE KEY"
)

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encodeKey(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// findBlock returns the first PEM block of type t in data.
func findBlock(data []byte, t string) *pem.Block {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil || b.Type == t {
			return b
		}
	}
}

func decodeKey(data []byte) (*ecdsa.PrivateKey, error) {
	b := findBlock(data, keyBlock)
	if b == nil {
		return nil, errors.New("no PEM block " + keyBlock)
	}
	return x509.ParseECPrivateKey(b.Bytes)
}

func decodeCert(data []byte) (*x509.Certificate, error) {
	b := findBlock(data, certBlock)
	if b == nil {
		return nil, errors.New("no PEM block " + certBlock)
	}
	return x509.ParseCertificate(b.Bytes)
}

// ensureKey reads the key at path, or makes it where there is none. It never replaces a key: other things were signed
// with it.
func ensureKey(path string) (key *ecdsa.PrivateKey, pemBytes []byte, made bool, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		if key, err = decodeKey(data); err != nil {
			return nil, nil, false, fmt.Errorf("%s: %w: restore the file, or remove the directory to start with new certificates", path, err)
		}
		return key, data, false, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, nil, false, err
	}
	if key, err = newKey(); err != nil {
		return nil, nil, false, err
	}
	if data, err = encodeKey(key); err != nil {
		return nil, nil, false, err
	}
	return key, data, true, writeFile(path, 0o600, data)
}
