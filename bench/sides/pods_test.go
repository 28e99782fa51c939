package sides

import (
	"sync/atomic"
	"testing"
)

// TestPods holds the pods of bench/list to the size that its figures are promised for.
func TestPods(t *testing.T) {
	var bytes, n atomic.Int64
	err := Pods(100)(func(_ string, value []byte) error {
		bytes.Add(int64(len(value)))
		n.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if mean := bytes.Load() / n.Load(); n.Load() != 100 || mean < 3600 || mean > 3900 {
		t.Errorf("%d pods of %d bytes, want 100 of about 3700", n.Load(), mean)
	}
}
