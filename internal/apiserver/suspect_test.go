package apiserver

import (
	"math"
	"testing"

	"minato.dev/minato/internal/store"
)

// TestSuspects is the life of one store under several writers: how far back its values are suspect at each start.
func TestSuspects(t *testing.T) {
	st := store.NewMemory()
	now := func() int64 {
		rev, err := st.Revision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	start := func(what string, sole bool, version string, want int64) {
		t.Helper()
		got, err := suspectUpTo(t.Context(), st, sole, version)
		if err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", what, got, err, want)
		}
	}
	put := func(key string) {
		t.Helper()
		if _, err := st.Create(t.Context(), key, []byte("x"), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("/registry/pods/a/b")
	first := now()
	start("an unknown writer's", true, "v1", first)
	put("/registry/pods/a/c")
	start("again", true, "v1", first)
	put("/registry/leases/kube-system/apiserver-x")
	foreign := now()
	start("after upstream's server", true, "v1", foreign)
	start("again after upstream's server", true, "v1", foreign)
	put("compact_rev_key")
	start("after upstream's compactor", true, "v1", now())
	start("another version", true, "v2", now())
	start("one of several writers", false, "v2", math.MaxInt64)
	start("the only writer again", true, "v2", now())
}
