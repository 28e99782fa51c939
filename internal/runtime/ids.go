package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"slices"

	"minato.dev/minato/internal/runtime/ledger"
)

// newID returns 64 random hexadecimal digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// find returns the record of id or of the only one whose id starts with it.
func find[T any](b *ledger.Book[T], what, id string) (*T, error) {
	if r := b.Get(id); r != nil {
		return r, nil
	}
	if id == "" {
		return nil, invalid("%s id is empty", what)
	}
	switch ids := b.IDs(id); len(ids) {
	case 0:
		return nil, notFound(what, id)
	case 1:
		if r := b.Get(ids[0]); r != nil {
			return r, nil
		}
		return nil, notFound(what, id)
	default:
		slices.Sort(ids)
		return nil, invalid("%s %q is ambiguous: %d ids begin with it", what, id, len(ids))
	}
}

// sandbox and container return the records that the client may know.
func (s *Server) sandbox(id string) (*ledger.Sandbox, error) {
	return find(s.sandboxes, "sandbox", id)
}

func (s *Server) container(id string) (*ledger.Container, error) {
	return find(s.containers, "container", id)
}

// matches reports whether labels has all of want.
func matches(labels, want map[string]string) bool {
	for k, v := range want {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
