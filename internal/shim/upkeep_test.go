package shim_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

func TestUpgradeRefusesBroken(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, sh(counting)...)
	script := func(name, text string) string {
		path := filepath.Join(n.dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fails, dies := script("fails", "echo no good; exit 1"), script("dies", `[ "$1" = selftest ]`)
	n.count(r, 1, sameLog(r), func() {
		before := n.info()
		if err := n.Upgrade(ctx, fails); !errors.Is(err, shim.ErrInvalid) || !strings.Contains(err.Error(), "no good") {
			t.Errorf("binary that fails its self-test: %v", err)
		}
		if now := n.info(); now.Pid != before.Pid || now.Upgrades != 0 || now.Restarts != before.Restarts {
			t.Errorf("disturbed: %+v", now)
		}
		// One that passes and then dies: the keeper starts the old one again.
		if err := n.Upgrade(ctx, dies); !errors.Is(err, shim.ErrUnavailable) {
			t.Errorf("binary that dies: %v", err)
		}
	})
}

// TestEnsureTogether: many callers, one pair of processes.
func TestEnsureTogether(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	if err := n.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	keepers := map[int]bool{}
	for range 8 {
		wait.Go(func() {
			c, err := shim.Ensure(ctx, n.cfg)
			if err != nil {
				t.Error(err)
				return
			}
			i, err := c.Info(ctx)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			keepers[i.KeeperPid] = true
			if i.Restarts != 0 {
				t.Errorf("%+v", i)
			}
		})
	}
	wait.Wait()
	if len(keepers) != 1 {
		t.Errorf("keepers: %v", keepers)
	}
}

func TestShutdownRefusedWhileBusy(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	n.start(nil, "sleep", "1000")
	if err := n.Shutdown(ctx); !errors.Is(err, shim.ErrBusy) {
		t.Errorf("%v", err)
	}
	n.info()
}

// fds counts a process's open files.
// fds are what a process has open.
func fds(t *testing.T, pid int) (open []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	l, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			open = append(open, target)
		}
	}
	slices.Sort(open)
	return open
}

func TestNoDescriptorsLeak(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	round := func() {
		a := n.request(nil, "sleep", "1000")
		a.Stdin = true
		b := n.request(func(s *specs.Spec) { s.Process.Terminal = true }, "sleep", "1000")
		for _, r := range []shim.CreateRequest{a, b} {
			n.startRequest(r)
			n.execOut(r.ID, shim.ExecRequest{Args: []string{"true"}}, "")
			x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"true"}, TTY: true}, shim.Stdio{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := x.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			if err := x.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"nosuch"}}, shim.Stdio{}); err == nil {
				t.Fatal("executed nothing")
			}
		}
		if _, err := n.Create(ctx, n.request(nil, "nosuch")); err == nil {
			t.Fatal("created nothing")
		}
		for _, r := range []shim.CreateRequest{a, b} {
			if err := n.Delete(ctx, r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	i := n.info()
	ours, keeper := fds(t, i.Pid), fds(t, i.KeeperPid)
	for range 4 {
		round()
	}
	defer func() {
		if t.Failed() {
			t.Logf("shim: %q\nbefore %q\nkeeper: %q\nbefore %q", fds(t, i.Pid), ours, fds(t, i.KeeperPid), keeper)
		}
	}()
	eventually(t, "as many descriptors as before", func() bool {
		return len(fds(t, i.Pid)) <= len(ours) && len(fds(t, i.KeeperPid)) <= len(keeper)
	})
}

// TestUserNamespace: root inside is nobody outside.
func TestUserNamespace(t *testing.T) {
	n := newNode(t)
	for _, dir := range []string{n.dir, filepath.Dir(n.dir), n.rootfs, filepath.Dir(n.rootfs), filepath.Dir(filepath.Dir(n.rootfs))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	st, got := n.run(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}, sh("id -u; tr -s ' ' < /proc/self/uid_map; touch /f 2>/dev/null || echo refused")...)
	if want := "0\n 0 200000 65536\nrefused\n"; got != want {
		t.Errorf("%q, want %q (%+v)", got, want, st)
	}
}

func TestEventsTellTheStory(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	_, seq, err := n.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := n.start(nil, sh("exit 9")...)
	n.wait(r.ID)
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if story := n.told(seq); fmt.Sprint(story) != "[created started exited9 deleted sync]" {
		t.Errorf("%v", story)
	}
	kill9(n.info().Pid)
	if err := n.Events(ctx, seq, func(shim.Event) error { return nil }); !errors.Is(err, shim.ErrResync) {
		t.Errorf("events of a dead shim: %v", err)
	}
}

// A container's end can come before the answer to its start; what is told of it keeps the order of its life.
func TestEndDuringStart(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	for range 10 {
		_, seq, err := n.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := n.request(nil, "/bin/true")
		if _, err := n.Create(ctx, r); err != nil {
			t.Fatal(err)
		}
		killed := make(chan error)
		go func() { killed <- n.Signal(ctx, r.ID, syscall.SIGKILL, false) }()
		started := n.Start(ctx, r.ID)
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		st := n.wait(r.ID)
		if err := n.Delete(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
		want := []string{"created", "started", fmt.Sprint("exited", st.ExitCode), "deleted", "sync"}
		if started != nil {
			want = slices.Delete(want, 1, 2)
		}
		if story := n.told(seq); !slices.Equal(story, want) {
			t.Errorf("%v, want %v (start: %v)", story, want, started)
		}
		if started == nil && st.FinishedAt.Before(st.StartedAt) {
			t.Errorf("finished before started: %+v", st)
		}
	}
}

// told is what the shim told since seq, where each state fits its event.
func (n *node) told(seq uint64) (story []string) {
	n.t.Helper()
	status := map[shim.EventKind]shim.Status{shim.EventCreated: shim.Created, shim.EventStarted: shim.Running, shim.EventExited: shim.Exited}
	err := n.Events(ctxFor(n.t), seq, func(e shim.Event) error {
		line := string(e.Kind)
		if e.Kind == shim.EventExited {
			line += fmt.Sprint(e.Container.ExitCode)
		}
		if want := status[e.Kind]; want != "" && e.Container.Status != want {
			n.t.Errorf("%s tells of a container that is %s", e.Kind, e.Container.Status)
		}
		if story = append(story, line); e.Kind == shim.EventSync {
			return os.ErrClosed
		}
		return nil
	})
	if !errors.Is(err, os.ErrClosed) {
		n.t.Error(err)
	}
	return story
}
