package machine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestReach is a file system of a hundred blocks of which five are reserved and ten are used.
func TestReach(t *testing.T) {
	fs := unix.Statfs_t{Bsize: 4096, Blocks: 100, Bfree: 90, Bavail: 85}
	if got := reach(&fs); got != 95*4096 {
		t.Errorf("%d bytes can be filled, want %d", got, 95*4096)
	}
}

func TestFillOfTheRoot(t *testing.T) {
	used, size, err := Fill("/")
	if err != nil || used <= 0 || size < used {
		t.Errorf("%d of %d used, %v", used, size, err)
	}
	if _, _, err := Fill("/no/such/path"); err == nil {
		t.Error("a path that is not there has a size")
	}
}
