package cli

import (
	"fmt"
	"os"
	"testing"
)

// TestMain refuses to be more than a test: what starts this program again, as a container's host or as a cluster, would start all
// tests, and each of them the next.
func TestMain(m *testing.M) {
	if os.Getenv(readyPipe) != "" || os.Getenv(phasePipe) != "" {
		fmt.Fprintln(os.Stderr, "a test has started itself as", os.Args[1:])
		os.Exit(1)
	}
	os.Exit(m.Run())
}
