package script

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"minato.dev/minato/internal/cluster"
)

// crash kills the story's minato process with SIGKILL and waits until it is gone.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := cluster.Running(ts.Getenv("DATA"))
	ts.Check(err)
	if pid == 0 {
		ts.Fatalf("no cluster runs")
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	// The first thread may be a zombie while others still hold the lock: the lock tells the end.
	for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		if holder, err := cluster.Running(ts.Getenv("DATA")); err == nil && holder == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("process %d outlives SIGKILL", pid)
		}
	}
}

var number = regexp.MustCompile(`line (\d+)$`)

// lines FILE [MIN] checks that FILE holds "line 1", "line 2", ... in order, none lost, none doubled, at least MIN.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: lines FILE [MIN]")
	}
	want := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		m := number.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			ts.Fatalf("line %d: unexpected %q", want+1, line)
		}
		n, err := strconv.Atoi(m[1])
		ts.Check(err)
		if want++; n != want {
			ts.Fatalf("line %d follows line %d", n, want-1)
		}
	}
	least := 1
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		least = n
	}
	if want < least {
		ts.Fatalf("%d lines, at least %d expected", want, least)
	}
	ts.Logf("%d lines, all there and in order", want)
}
