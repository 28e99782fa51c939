package sides

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
)

// Own is the CPU time of this process: the client's share.
func Own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Ratio says how many times less ours is.
func Ratio(ours, theirs time.Duration) string {
	if ours <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fx", float64(theirs)/float64(ours))
}

// Ms writes a time in milliseconds.
func Ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// PrintMemory adds the table of what the sides hold.
func PrintMemory(all ...*Side) error {
	rows := [][]string{{"memory", "PSS now, MB", "peak RSS, MB"}}
	for _, s := range all {
		now, peak, err := s.Memory()
		if err != nil {
			return err
		}
		rows = append(rows, []string{s.Name, fmt.Sprint(now / 1e6), fmt.Sprint(peak / 1e6)})
	}
	fmt.Println()
	measure.Table(os.Stdout, rows)
	return nil
}
