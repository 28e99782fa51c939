package image

import (
	_ "crypto/sha512" // registers what digests of OCI may be made by
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// ErrDigest is returned when content is not what its digest or size promised.
var ErrDigest = errors.New("content does not match its digest")

// algorithms are those by which content may be named. Each has a directory below blobs.
var algorithms = []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512}

func checkDigest(d digest.Digest) error {
	err := d.Validate()
	if errors.Is(err, digest.ErrDigestUnsupported) {
		return fmt.Errorf("digest %q: only %s, %s and %s are understood", d, algorithms[0], algorithms[1], algorithms[2])
	}
	if err != nil {
		return fmt.Errorf("digest %q: %w", d, err)
	}
	return nil
}

func digestOf(b []byte) digest.Digest { return digest.FromBytes(b) }

// like is the digest of b by the algorithm of d.
func like(d digest.Digest, b []byte) digest.Digest {
	if checkDigest(d) != nil {
		return digestOf(b)
	}
	return d.Algorithm().FromBytes(b)
}

// fileOf names a layer or a record after a digest; the length tells the algorithm.
func fileOf(d string) string { return d[strings.IndexByte(d, ':')+1:] }

// ofFile is fileOf's reverse.
func ofFile(name string) string {
	for _, a := range algorithms {
		if len(name) == 2*a.Size() {
			return a.String() + ":" + name
		}
	}
	return "sha256:" + name
}
