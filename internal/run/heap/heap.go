// Package heap is the standard library's heap for one type of items, which know their places: what queues by time and by
// priority wait in. control, the scheduler, the kubelet's probes and the store's deadlines use it. A heap is not safe for
// concurrent use: its owner's lock guards it. Tests compare it with sorting.
package heap

import "container/heap"

// Heap hands out the least of its items first.
type Heap[T any] struct{ in inner[T] }

// New makes a heap in the order of less. at says where an item keeps its place, which is -1 while the item is in no heap;
// without it (nil) items can be pushed and popped alone.
func New[T any](less func(a, b T) bool, at func(T) *int) Heap[T] {
	if at == nil {
		at = func(T) *int { return new(int) }
	}
	return Heap[T]{inner[T]{less: less, at: at}}
}

// Len is how many items are in the heap.
func (h *Heap[T]) Len() int { return len(h.in.items) }

// First is the least item, which stays; there must be one.
func (h *Heap[T]) First() T { return h.in.items[0] }

// Push adds an item.
func (h *Heap[T]) Push(x T) { heap.Push(&h.in, x) }

// Pop takes out the least item; there must be one.
func (h *Heap[T]) Pop() T { return heap.Pop(&h.in).(T) }

// Fix puts an item of the heap in its right place after its order has changed.
func (h *Heap[T]) Fix(x T) { heap.Fix(&h.in, *h.in.at(x)) }

// Remove takes out an item of the heap.
func (h *Heap[T]) Remove(x T) { heap.Remove(&h.in, *h.in.at(x)) }

type inner[T any] struct {
	items []T
	less  func(a, b T) bool
	at    func(T) *int
}

func (n *inner[T]) Len() int           { return len(n.items) }
func (n *inner[T]) Less(i, j int) bool { return n.less(n.items[i], n.items[j]) }

func (n *inner[T]) Swap(i, j int) {
	n.items[i], n.items[j] = n.items[j], n.items[i]
	*n.at(n.items[i]), *n.at(n.items[j]) = i, j
}

func (n *inner[T]) Push(x any) {
	item := x.(T)
	*n.at(item) = len(n.items)
	n.items = append(n.items, item)
}

func (n *inner[T]) Pop() any {
	last := len(n.items) - 1
	x := n.items[last]
	clear(n.items[last:]) // what left is not kept alive
	n.items = n.items[:last]
	*n.at(x) = -1
	return x
}
