package apiserver

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestBody writes parts of sizes around the buffer's and expects them whole and in order.
func TestBody(t *testing.T) {
	for _, sizes := range [][]int{{}, {0}, {1, 2, 3}, {chunk - 1, 1, 1}, {chunk}, {chunk + 1}, {3*chunk + 7, 5}, {chunk - 10, 20, chunk - 10, 20}} {
		var got bytes.Buffer
		var want strings.Builder
		err := writeThrough(&got, func(b *body) {
			for i, n := range sizes {
				part := strings.Repeat(string(rune('a'+i)), n)
				want.WriteString(part)
				if i%2 == 0 {
					b.bytes([]byte(part))
				} else {
					b.string(part)
				}
			}
		})
		if err != nil || got.String() != want.String() {
			t.Errorf("%v: %d bytes, %v", sizes, got.Len(), err)
		}
	}
}

// gone is a client that has left.
type gone struct{ writes int }

func (g *gone) Write([]byte) (int, error) { g.writes++; return 0, errGone }

var errGone = errors.New("gone")

func TestBodyAfterTheClientHasGone(t *testing.T) {
	g := &gone{}
	err := writeThrough(g, func(b *body) {
		for range 10 {
			b.bytes(make([]byte, chunk))
		}
	})
	if !errors.Is(err, errGone) || g.writes != 1 {
		t.Errorf("%d writes, %v", g.writes, err)
	}
}
