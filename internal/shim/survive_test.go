package shim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
)

// counting prints numbered lines on both outputs as fast as a shell can, until the file /stop appears, and leaves their
// number in /count.
const counting = `i=0; while [ ! -e /stop ]; do echo "line $i"; echo "other $i" >&2; i=$((i+1)); done; echo $i > /count; exit 7`

// checkCounted demands every line once and in order.
func checkCounted(t testing.TB, path string, n int) {
	t.Helper()
	next := map[string]int{}
	for _, l := range logLines(t, path) {
		word := map[string]string{"stdout": "line", "stderr": "other"}[l.stream]
		want := fmt.Sprintf("%s %d", word, next[l.stream])
		if l.text != want || l.tag != "F" {
			t.Fatalf("%s: got %s %q, want %q", path, l.tag, l.text, want)
		}
		next[l.stream]++
	}
	if next["stdout"] != n || next["stderr"] != n {
		t.Fatalf("%s: %v lines, want %d of each", path, next, n)
	}
}

func kill9(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }

func (n *node) info() shim.Info {
	n.t.Helper()
	i, err := n.Info(ctxFor(n.t))
	if err != nil {
		n.t.Fatalf("info: %v", err)
	}
	return i
}

// count starts a counting container, disturbs it many times, and checks its end and its log, which joined returns.
func (n *node) count(r shim.CreateRequest, times int, joined func() string, f func()) {
	n.t.Helper()
	n.startRequest(r)
	for range times {
		f()
	}
	if err := os.WriteFile(filepath.Join(n.rootfs, "stop"), nil, 0o644); err != nil {
		n.t.Fatal(err)
	}
	if st := n.wait(r.ID); st.ExitCode != 7 || st.Reason != "" {
		n.t.Errorf("after being disturbed: %+v", st)
	}
	b, err := os.ReadFile(filepath.Join(n.rootfs, "count"))
	if err != nil {
		n.t.Fatal(err)
	}
	lines, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Logf("%d lines, disturbed %d times", 2*lines, times)
	n.check(n.t, joined(), lines)
}

func sameLog(r shim.CreateRequest) func() string { return func() string { return r.LogPath } }

func TestKillShimLosesNothing(t *testing.T) {
	n := newNode(t)
	r := n.request(nil, sh(counting)...)
	n.count(r, 60, sameLog(r), func() { kill9(n.info().Pid) })
}

func TestUpgradeLosesNothing(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	before := n.info()
	r := n.request(nil, sh(counting)...)
	n.count(r, 30, sameLog(r), func() {
		if err := n.Upgrade(ctx, binary); err != nil {
			t.Errorf("upgrade: %v", err)
		}
	})
	if i := n.info(); i.Pid != before.Pid || i.Upgrades != 30 || i.Restarts != before.Restarts {
		t.Errorf("%+v", i)
	}
}

func TestKillKeeper(t *testing.T) {
	n := newNode(t)
	r := n.request(nil, sh(counting)...)
	n.count(r, 30, sameLog(r), func() {
		old := n.info().KeeperPid
		kill9(old)
		eventually(t, "a new keeper", func() bool { return n.info().KeeperPid != old })
	})
}

// TestForeignParentMayBeLate: when the keeper has died, containers are children of whoever adopts orphans, who may ask for
// their status late; here it is this process, which never does.
func TestForeignParentMayBeLate(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
	n, ctx := newNode(t), ctxFor(t)
	exits, dies := n.start(nil, sh("until test -e /go; do sleep 0.01; done; exit 7")...), n.start(nil, sh("exec sleep 1000")...)
	states, _, err := n.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := n.info().KeeperPid
	kill9(old)
	eventually(t, "a new keeper", func() bool { return n.info().KeeperPid != old })
	if err := os.WriteFile(filepath.Join(n.rootfs, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.Signal(ctx, dies.ID, syscall.SIGKILL, false); err != nil {
		t.Fatal(err)
	}
	if st := n.wait(exits.ID); st.ExitCode != 7 || st.Reason != "" {
		t.Errorf("one that exits: %+v", st)
	}
	if st := n.wait(dies.ID); st.Signal != syscall.SIGKILL || st.ExitCode != 137 || st.Reason != "" {
		t.Errorf("one that is killed: %+v", st)
	}
	for _, st := range states { // they were ours all the time
		if _, err := unix.Wait4(st.Pid, nil, unix.WNOHANG, nil); err != nil {
			t.Errorf("%s was reaped by somebody else: %v", st.ID, err)
		}
	}
}

// checkHoled demands every line at most once and in order, the last one too, and at most one hole a stream, with at most
// one torn line at its edge: what the shim had taken from the container and not yet written when it died together with
// the keeper, 64 KiB at most.
func checkHoled(t testing.TB, path string, n int) {
	t.Helper()
	next, holes, torn := map[string]int{}, map[string]int{}, map[string]int{}
	for _, l := range logLines(t, path) {
		word := map[string]string{"stdout": "line ", "stderr": "other "}[l.stream]
		i, err := strconv.Atoi(strings.TrimPrefix(l.text, word))
		if err != nil || !strings.HasPrefix(l.text, word) {
			torn[l.stream]++
			continue
		}
		if i < next[l.stream] {
			t.Fatalf("%s: %q after %d", path, l.text, next[l.stream]-1)
		}
		if lost := i - next[l.stream]; lost > 0 {
			holes[l.stream]++
			t.Logf("%s: %d lines lost before %q", path, lost, l.text)
			if lost*len(l.text) > 128<<10 {
				t.Errorf("%s: %d lines lost before %q, more than a pipe holds", path, lost, l.text)
			}
		}
		next[l.stream] = i + 1
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if next[stream] != n || holes[stream] > 1 || torn[stream] > 1 {
			t.Errorf("%s: %s ends at %d of %d, with %d holes and %d torn lines", path, stream, next[stream], n, holes[stream], torn[stream])
		}
	}
}

// TestKillBoth: what nobody held is found again in the container itself. Only what was on its way may be lost.
func TestKillBoth(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	n.check = checkHoled
	lost := n.start(nil, "sleep", "1000")
	before, err := n.State(ctx, lost.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := n.request(nil, sh(counting)...)
	n.count(r, 1, sameLog(r), func() {
		i := n.info()
		_ = syscall.Kill(i.Pid, syscall.SIGSTOP) // so that it cannot replace its keeper in between
		kill9(i.KeeperPid)
		kill9(i.Pid)
		kill9(before.Pid)
		eventually(t, "the other container's end", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", before.Pid))
			return err != nil
		})
		if n.Client, err = shim.Ensure(ctx, n.cfg); err != nil {
			t.Fatal(err)
		}
	})
	if st := n.wait(lost.ID); st.ExitCode != 255 || !strings.Contains(st.Reason, "exit status lost") {
		t.Errorf("the container that ended unseen: %+v", st)
	}
}

// TestKillDuringChanges kills the shim or the keeper at random moments of creating, starting, executing and deleting; every
// call must still come to its end and nothing may be left. It dies at most six times a container: on a busy machine nobody
// could get anything done between two deaths of an endless row, and nothing promises that. Keepers die in fewer rounds: a container
// then ends when the pid 1 of the machine has reaped what was executed in it, which may take that seconds.
func TestKillDuringChanges(t *testing.T) {
	t.Run("shim", func(t *testing.T) { killDuringChanges(newNode(t), 25, func(i shim.Info) int { return i.Pid }) })
	t.Run("keeper", func(t *testing.T) { killDuringChanges(newNode(t), 15, func(i shim.Info) int { return i.KeeperPid }) })
}

func killDuringChanges(n *node, containers int, victim func(shim.Info) int) {
	t, ctx := n.t, ctxFor(n.t)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	var deaths atomic.Int32
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(7+i*13%60) * time.Millisecond):
				if info, err := n.Info(ctx); err == nil && deaths.Add(1) <= 6 {
					kill9(victim(info))
				}
			}
		}
	}()
	for i := range containers {
		deaths.Store(0)
		r := n.request(nil, sh("echo hello; exec sleep 1000")...)
		if err := n.story(ctx, r, i); err != nil {
			t.Errorf("container %d: %v", i, err)
		}
	}
	close(stop)
	<-stopped
	if list, _, err := n.List(ctx); err != nil || len(list) > 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
}

func (n *node) story(ctx context.Context, r shim.CreateRequest, i int) error {
	if _, err := n.Create(ctx, r); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := n.Start(ctx, r.ID); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh(fmt.Sprintf("exit %d", i))}, shim.Stdio{})
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != i {
		return fmt.Errorf("exec: %+v, want code %d: %w", res, i, err)
	}
	eventually(n.t, "container "+r.ID+" speaks", func() bool { return logText(n.t, r.LogPath) != "" })
	if err := n.Signal(ctx, r.ID, syscall.SIGKILL, false); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	if st, err := n.Wait(ctx, r.ID); err != nil || st.ExitCode != 137 {
		return errors.Join(fmt.Errorf("wait: %+v", st), err)
	}
	if text := logText(n.t, r.LogPath); text != "hello\n" {
		return fmt.Errorf("log %q", text)
	}
	return n.Delete(ctx, r.ID)
}
