package cache

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"minato.dev/minato/internal/store"
)

// TestColdValues: what is loaded in great number, and what nobody has written for long, is packed, and reads as it was
// written; few and new values stay plain.
func TestColdValues(t *testing.T) {
	st := store.NewMemory()
	value := func(i int, app string) []byte {
		return fmt.Appendf(nil, `{"N":%d,"Labels":{"app":%q},"more":"%s"}`, i, app, strings.Repeat("like the others ", 100))
	}
	key := func(i int) string { return fmt.Sprintf("/registry/pods/a/p%05d", i) }
	const many = 3 * coldBeyond / 1600
	revisions := make([]int64, many)
	for i := range many {
		var err error
		if revisions[i], err = st.Create(t.Context(), key(i), value(i, "old"), 0); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, st, nil).cache
	check := func(i int, app string) bool {
		t.Helper()
		o, ok := c.Get(key(i))
		if !ok {
			t.Fatalf("%s is not there", key(i))
		}
		var read []byte
		if err := o.ReadValue(func(v []byte) error { read = bytes.Clone(v); return nil }); err != nil {
			t.Fatal(err)
		}
		want := value(i, app)
		if !bytes.Equal(read, want) || !bytes.Equal(o.Value(), want) || !bytes.Equal(o.AppendValue([]byte("x"))[1:], want) || o.size() != len(want) {
			t.Fatalf("%s reads %.200q", key(i), read)
		}
		return len(o.value.held.Load().data) < len(want)
	}
	packed := 0
	for i := range many {
		if check(i, "old") {
			packed++
		}
	}
	if packed < many/2 || packed == many {
		t.Errorf("%d of %d loaded values are packed", packed, many)
	}
	last := int64(0)
	for i := range many {
		var err error
		if last, err = st.Update(t.Context(), key(i), value(i, "new"), revisions[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WaitFor(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	r := c.find(key(0))
	for i := range many {
		if check(i, "new") {
			t.Fatalf("%s is packed although it is new", key(i))
		}
	}
	c.mu.RLock()
	waits := r.packing != nil
	c.mu.RUnlock()
	if !waits {
		t.Error("nothing will pack what was written")
	}
	c.packLater(r, last-10)
	packed = 0
	for i := range many {
		if check(i, "new") {
			packed++
		}
	}
	if packed < many-20 || packed == many {
		t.Errorf("%d of %d values that are old by now are packed", packed, many)
	}
}
