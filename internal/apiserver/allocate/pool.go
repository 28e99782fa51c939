// Package allocate decides which ClusterIP and node ports a Service gets.
//
// The API server calls it inside the write of a Service. Family, Normalize, Inherit and ports are pure functions on
// Services; Pool hands out numbers from a range and remembers them. A Pool is safe for concurrent use, Services are
// not. Test it with tables of Services; random numbers are an argument.
package allocate

import (
	"errors"
	"math/big"
	"sync"
)

// Errors of a Pool, in upstream's words.
var (
	// ErrFull is returned when nothing of the range is free.
	ErrFull = errors.New("range is full")
	// ErrTaken is returned when the wanted number is somebody's.
	ErrTaken = errors.New("already allocated")
	// ErrOutside is returned when the wanted number is not in the range.
	ErrOutside = errors.New("not in the valid range")
)

// Pool is a range of numbers from 0 to Size-1, each free or taken. Numbers that nobody asks for by name come from the upper
// part, so that the lower part stays for those who do.
type Pool struct {
	size, static int
	random       func(n int) int

	mu    sync.Mutex
	taken map[int]bool
}

// NewPool returns an empty pool whose lowest static numbers are handed out last. random returns a number below n.
func NewPool(size, static int, random func(n int) int) *Pool {
	return &Pool{size: size, static: static, random: random, taken: map[int]bool{}}
}

// Static is how many numbers of a range are kept for those who ask by name: size/step, at least low and at most high.
func Static(size, low, high, step int) int {
	if size <= low {
		return 0
	}
	return min(max(size/step, low), high)
}

// Take takes one number. Errors: ErrOutside, ErrTaken.
func (p *Pool) Take(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < 0 || n >= p.size {
		return ErrOutside
	}
	if p.taken[n] {
		return ErrTaken
	}
	p.taken[n] = true
	return nil
}

// Next takes any free number. Errors: ErrFull.
func (p *Pool) Next() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range [2][2]int{{p.static, p.size}, {0, p.static}} {
		n := r[1] - r[0]
		if n <= 0 {
			continue
		}
		start := p.random(n)
		for i := range n {
			x := r[0] + (start+i)%n
			if !p.taken[x] {
				p.taken[x] = true
				return x, nil
			}
		}
	}
	return 0, ErrFull
}

// Free gives a number back; one that is free already stays so.
func (p *Pool) Free(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, n)
}

// Reset makes exactly these numbers taken; those outside of the range are ignored.
func (p *Pool) Reset(taken []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.taken)
	for _, n := range taken {
		if n >= 0 && n < p.size {
			p.taken[n] = true
		}
	}
}

// Bits are the taken numbers as one large number, big-endian, as upstream stores them: bit n is set where n is taken.
func (p *Pool) Bits() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var x big.Int
	for n := range p.taken {
		x.SetBit(&x, n, 1)
	}
	return x.Bytes()
}

// SetBits makes exactly the numbers of Bits taken.
func (p *Pool) SetBits(b []byte) {
	x := new(big.Int).SetBytes(b)
	var taken []int
	for n := range x.BitLen() {
		if x.Bit(n) == 1 {
			taken = append(taken, n)
		}
	}
	p.Reset(taken)
}

// Has says whether n is taken.
func (p *Pool) Has(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[n]
}

// Taken is how many numbers are taken.
func (p *Pool) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}
