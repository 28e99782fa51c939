package apitest

import (
	"runtime"
	"testing"
)

// Bounded runs f and fails where it allocates more than most bytes in all, alive or not. It is for fuzz targets: what a small
// request can make a server allocate must be bounded. Other goroutines count too, so most should be generous.
func Bounded(t testing.TB, most int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(most) {
		t.Errorf("%d bytes were allocated, more than %d", got, most)
	}
}
