package credential

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// dockerHub is the name under which docker keeps the logins of docker.io.
const dockerHub = "index.docker.io"

// Match returns the patterns ("host", "host/path", "*.host:port") that fit an image, the longest first.
func Match[T any](patterns map[string]T, image string) (out []string) {
	name := Qualified(image)
	for _, p := range slices.SortedFunc(maps.Keys(patterns), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(b, a))
	}) {
		if fits(p, name) {
			out = append(out, p)
		}
	}
	return out
}

// Qualified puts the registry before a name that leaves it out.
func Qualified(image string) string {
	first, rest, ok := strings.Cut(image, "/")
	if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return dockerHub + "/" + image
	}
	if first == "docker.io" {
		return dockerHub + "/" + rest
	}
	return image
}

// fits compares host parts one by one (each may be a glob), the port exactly and the path as a prefix.
func fits(pattern, image string) bool {
	pattern = Bare(pattern)
	if pattern == "docker.io" {
		pattern = dockerHub
	}
	p, err1 := url.Parse("https://" + pattern)
	i, err2 := url.Parse("https://" + image)
	if err1 != nil || err2 != nil || p.Port() != i.Port() || !strings.HasPrefix(i.Path, p.Path) {
		return false
	}
	ps, is := strings.Split(p.Hostname(), "."), strings.Split(i.Hostname(), ".")
	if len(ps) != len(is) {
		return false
	}
	for n := range ps {
		if ok, err := path.Match(ps[n], is[n]); err != nil || !ok {
			return false
		}
	}
	return true
}

// Bare takes off what docker writes around a registry's name: "https://index.docker.io/v1/".
func Bare(registry string) string {
	key := strings.TrimPrefix(strings.TrimPrefix(registry, "https://"), "http://")
	for _, suffix := range []string{"/", "/v1", "/v2"} {
		key = strings.TrimSuffix(key, suffix)
	}
	return key
}
