package sides

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/report"
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

// AddMemory adds rows of what both sides hold now, and of what they held at most.
func AddMemory(r *report.Result, all ...*Side) error {
	var now, peak [2]*report.Value
	for i, s := range all[:min(len(all), 2)] {
		n, p, err := s.Memory()
		if err != nil {
			return err
		}
		now[i], peak[i] = report.Just(report.MB(n)), report.Just(report.MB(p))
	}
	r.Add(report.Row{Group: "memory at the end", Name: "of all programs, PSS", Unit: report.Megabytes, Ours: now[0], Theirs: now[1]})
	r.Add(report.Row{Group: "memory at the end", Name: "the most that they held, RSS", Unit: report.Megabytes, Ours: peak[0], Theirs: peak[1]})
	return nil
}

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
