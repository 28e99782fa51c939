package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPackedRenderings: whatever was rendered comes back, through all dictionaries, and much of what is alike takes little.
func TestPackedRenderings(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	l := newLedger(64 << 20)
	l.many.Store(true)
	long := strings.Repeat(`"f:metadata":{"f:labels":{}},`, 20)
	var objects []*Object
	var texts [][]byte
	shared := []byte("before")
	for i := range 3000 {
		text := fmt.Appendf(nil, `{"metadata":{"name":"web-%d","uid":"%x"},"spec":{%s},"status":{"podIP":"10.0.%d.%d"}}`, i, draw.Uint64(), long, i/256, i%256)
		switch i % 500 {
		case 7:
			text = []byte("short")
		case 8:
			text = bytes.Repeat(text, 200) // longer than any dictionary
		case 9:
			text = make([]byte, 2000)
			for k := range text {
				text[k] = byte(draw.Uint32()) // nothing to be packed
			}
		}
		o := &Object{ledger: l}
		if i%2 == 0 { // out of a buffer that is used again
			var err error
			if shared, err = o.AppendRendered(shared[:6], i%3, func(b []byte) ([]byte, error) { return append(b, text...), nil }); err != nil {
				t.Fatal(err)
			}
			if string(shared) != "before"+string(text) {
				t.Fatalf("rendering %d was appended as %.200q", i, shared)
			}
		} else if _, err := o.Memo(i%3, func() ([]byte, error) { return bytes.Clone(text), nil }); err != nil {
			t.Fatal(err)
		}
		l.many.Store(true)
		objects, texts = append(objects, o), append(texts, text)
	}
	plain, held := 0, 0
	for i, o := range objects {
		m := o.memo(i % 3)
		if m == nil {
			t.Fatalf("rendering %d is not remembered", i)
		}
		if got := m.AppendTo([]byte("before ")); string(got) != "before "+string(texts[i]) || m.Len() != len(texts[i]) {
			t.Fatalf("rendering %d came back as %.200q", i, got)
		}
		if got := m.bytes(); !bytes.Equal(got, texts[i]) {
			t.Fatalf("rendering %d came back as %.200q", i, got)
		}
		plain, held = plain+len(texts[i]), held+len(m.data)
	}
	if held > plain/5 {
		t.Errorf("%d bytes of alike renderings are held in %d", plain, held)
	}
	l.stop()
}
