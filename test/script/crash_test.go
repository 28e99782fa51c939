package script

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// crash kills the story's minato process with SIGKILL and waits until it is gone.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	b, err := os.ReadFile(filepath.Join(ts.Getenv("DATA"), "lock"))
	ts.Check(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	deadline := time.Now().Add(10 * time.Second)
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !zombie(pid) {
		if time.Now().After(deadline) {
			ts.Fatalf("process %d outlives SIGKILL", pid)
		}
		<-time.After(time.Millisecond)
	}
}

func zombie(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "Z")
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
