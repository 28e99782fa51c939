// Package storetest is the suite that every implementation of store.Store passes.
//
// Call Run from a test of the implementation. Each story gets an empty store of its own.
package storetest

import (
	"testing"

	"minato.dev/minato/internal/store"
)

// Run tests the stores that open returns.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, story := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"write and read", writeAndRead},
		{"conflicts name the current state", conflicts},
		{"pages stay at their revision", pages},
		{"list at a revision", listAtRevision},
		{"watch sees every write once, in order", watchInOrder},
		{"watch from an old revision has the replaced states", watchHistory},
		{"progress never runs ahead of the past", progressOfThePast},
		{"compaction ends old reads and watches", compaction},
		{"a value with a lifetime ends", lifetime},
		{"concurrent writers lose nothing", concurrent},
		{"values too large are refused", tooLarge},
		{"closing ends watches", closing},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			story.run(t, open(t))
		})
	}
}
