package measure

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Table writes rows, the first of which is the head, as a Markdown table.
func Table(w io.Writer, rows [][]string) {
	for i, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(r)))
		}
	}
}

// Load says how busy the machine is: a figure taken on a busy one is no promise.
func Load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	f := strings.Fields(string(b))
	return fmt.Sprintf("load %s (1 min) %s (5 min) on %d cores", f[0], f[1], runtime.NumCPU())
}

// Median returns the middle of times.
func Median(times []time.Duration) time.Duration {
	t := slices.Sorted(slices.Values(times))
	if len(t) == 0 {
		return 0
	}
	return t[len(t)/2]
}
