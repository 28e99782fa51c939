package heap_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"minato.dev/minato/internal/run/heap"
)

type item struct{ value, at int }

func byValue(a, b *item) bool { return a.value < b.value }

func place(i *item) *int { return &i.at }

// TestOrder: after random pushes, changes and removals the items come out sorted, and know whether they are in.
func TestOrder(t *testing.T) {
	h := heap.New(byValue, place)
	rnd := rand.New(rand.NewPCG(1, 2))
	var in []*item
	for range 2000 {
		switch n := rnd.IntN(5); {
		case n < 3 || len(in) == 0:
			x := &item{value: rnd.IntN(100), at: -1}
			h.Push(x)
			in = append(in, x)
		case n == 3:
			x := in[rnd.IntN(len(in))]
			x.value = rnd.IntN(100)
			h.Fix(x)
		default:
			i := rnd.IntN(len(in))
			h.Remove(in[i])
			if in[i].at != -1 {
				t.Fatalf("removed, it is at %d", in[i].at)
			}
			in = slices.Delete(in, i, i+1)
		}
	}
	slices.SortFunc(in, func(a, b *item) int { return cmp.Compare(a.value, b.value) })
	if h.Len() != len(in) {
		t.Fatalf("%d items, want %d", h.Len(), len(in))
	}
	for _, want := range in {
		first := h.First()
		if got := h.Pop(); got != first || got.value != want.value || got.at != -1 {
			t.Fatalf("%+v, want the value %d", got, want.value)
		}
	}
}

// TestWithoutPlaces: plain values need none.
func TestWithoutPlaces(t *testing.T) {
	h := heap.New(func(a, b int) bool { return a < b }, nil)
	for _, x := range []int{3, 1, 2} {
		h.Push(x)
	}
	for want := 1; h.Len() > 0; want++ {
		if got := h.Pop(); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}
