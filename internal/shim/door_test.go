package shim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"minato.dev/minato/internal/shim"
)

// doors are the processes that wait to enter containers of this node.
func (n *node) doors() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		b, _ := os.ReadFile(p)
		if f := strings.Split(string(b), "\x00"); len(f) < 3 || f[1] != "door" || f[2] != n.cfg.RunDir {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if string(comm) == "minato-door\n" { // no clerk, which has its command line
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestDoorIsOpenedAgain: one door enters all containers; where it has died, the next order opens another.
func TestDoorIsOpenedAgain(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, "sleep", "1000")
	enter := func() {
		t.Helper()
		if _, _, res := n.execOut(r.ID, shim.ExecRequest{Args: []string{"true"}}, ""); res.ExitCode != 0 {
			t.Errorf("%+v", res)
		}
	}
	enter()
	enter()
	before := n.doors()
	if len(before) != 1 {
		t.Fatalf("doors: %v", before)
	}
	kill9(before[0])
	eventually(t, "the door is gone", func() bool { return syscall.Kill(before[0], 0) != nil })
	enter()
	after := n.doors()
	if len(after) != 1 || after[0] == before[0] {
		t.Errorf("doors: %v, then %v", before, after)
	}
	// What was started by a door is not bound to it.
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("read line; exit 7")}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	kill9(after[0])
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 7 { // its input is empty
		t.Errorf("%+v, %v", res, err)
	}
	if err := x.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestDoorEndsWithTheShim: neither a death nor an upgrade leaves one behind.
func TestDoorEndsWithTheShim(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, "sleep", "1000")
	for _, end := range []func() error{
		func() error {
			i, err := n.Info(ctx)
			kill9(i.Pid)
			return err
		},
		func() error { return n.Upgrade(ctx, binary) },
	} {
		before := n.doors()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range before {
			eventually(t, "the door is gone", func() bool { return syscall.Kill(pid, 0) != nil })
		}
		if _, _, res := n.execOut(r.ID, shim.ExecRequest{Args: []string{"true"}}, ""); res.ExitCode != 0 {
			t.Errorf("%+v", res)
		}
		if now := n.doors(); len(now) != 1 {
			t.Errorf("doors: %v", now)
		}
	}
}
