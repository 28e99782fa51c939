package image

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// A rewrite gives a repository another name where a mirror keeps it, as k3s's registries.yaml has it.
type rewrite struct {
	from *regexp.Regexp
	to   string // with $1 for what the first group has matched
}

// rewrites reads them; the longest expression is tried first, since a file's order is lost.
func rewrites(text map[string]string) (out []rewrite, err error) {
	patterns := slices.SortedFunc(maps.Keys(text), func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	for _, p := range patterns {
		from, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("rewrite %q: %w", p, err)
		}
		out = append(out, rewrite{from, text[p]})
	}
	return out, nil
}

// repo is the name of a repository at this host: the first rewrite that changes it counts.
func (h *endpoint) repo(name string) string {
	for _, r := range h.rewrite {
		if to := r.from.ReplaceAllString(name, r.to); to != name {
			return to
		}
	}
	return name
}
