package allocate

import (
	"net/netip"
	"testing"
)

func TestRange(t *testing.T) {
	r := NewRange(netip.MustParsePrefix("10.0.0.9/29"))
	for ip, want := range map[string]bool{"10.0.0.8": false, "10.0.0.9": true, "10.0.0.14": true, "10.0.0.15": false, "10.0.0.16": false, "::1": false} {
		if got := r.Has(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s in %s: %v", ip, r, got)
		}
	}
	seen := map[netip.Addr]bool{}
	for a := range r.Search(func(n uint32) uint32 { return n - 1 }) {
		if !r.Has(a) || seen[a] {
			t.Errorf("%s twice, or outside of %s", a, r)
		}
		seen[a] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d addresses, want 6", len(seen))
	}
	// The lowest are for those who ask by name.
	big := NewRange(netip.MustParsePrefix("10.0.0.0/24"))
	for a := range big.Search(func(uint32) uint32 { return 0 }) {
		if want := "10.0.0.17"; a.String() != want {
			t.Errorf("begins with %s, want %s", a, want)
		}
		break
	}
	for _, p := range []string{"10.0.0.0/31", "10.0.0.0/32"} {
		tiny := NewRange(netip.MustParsePrefix(p))
		for a := range tiny.Search(func(uint32) uint32 { return 0 }) {
			t.Errorf("%s gave %s", p, a)
		}
	}
}

// TestBits: bit n of upstream's number is the n-th of the range.
func TestBits(t *testing.T) {
	p := NewPool(32, 0, first)
	p.Reset([]int{0, 9, 31})
	if b := p.Bits(); string(b) != "\x80\x00\x02\x01" {
		t.Errorf("%x", b)
	}
	q := NewPool(32, 0, first)
	q.SetBits(p.Bits())
	if !q.Has(0) || !q.Has(9) || !q.Has(31) || q.Taken() != 3 {
		t.Errorf("read back: %d taken", q.Taken())
	}
}
