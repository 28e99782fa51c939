package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// NormalizeName completes a name as Docker does: "nginx" is docker.io/library/nginx:latest. Where a digest is given, a
// tag beside it is dropped. It returns ErrInvalidName with the reason.
func NormalizeName(ref string) (string, error) {
	n, err := parseName(ref)
	if err != nil {
		return "", err
	}
	return n.String(), nil
}

// name is a complete reference, taken apart.
type name struct {
	host   string // "docker.io", "127.0.0.1:5000"
	repo   string // "library/nginx"
	tag    string // "" where digest is set
	digest digest.Digest
}

func parseName(ref string) (name, error) {
	named, err := reference.ParseDockerRef(strings.TrimSpace(ref))
	if err != nil {
		return name{}, fmt.Errorf("%w %q: %w", ErrInvalidName, ref, err)
	}
	n := name{host: reference.Domain(named), repo: reference.Path(named)}
	if d, ok := named.(reference.Digested); ok {
		n.digest = d.Digest()
	} else if t, ok := named.(reference.Tagged); ok {
		n.tag = t.Tag()
	}
	return n, nil
}

// String is the full name.
func (n name) String() string {
	if n.digest != "" {
		return n.repository() + "@" + n.digest.String()
	}
	return n.repository() + ":" + n.tag
}

func (n name) repository() string { return n.host + "/" + n.repo }

// target is what follows /manifests/ in a registry's address.
func (n name) target() string {
	if n.digest != "" {
		return n.digest.String()
	}
	return n.tag
}

var hexID = regexp.MustCompile(`^[0-9a-f]{12,128}$`)

// idPrefix returns the digits of an image id or of a prefix of one, if ref is such.
func idPrefix(ref string) (string, bool) {
	if strings.Contains(ref, ":") {
		return fileOf(ref), checkDigest(digest.Digest(ref)) == nil
	}
	return ref, hexID.MatchString(ref)
}
