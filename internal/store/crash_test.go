package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"minato.dev/minato/internal/store"
)

// crashDir makes the test binary a writer that is meant to be killed, see writeUntilKilled.
const crashDir = "STORE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints each key when its write has been acknowledged.
func writeUntilKilled(dir string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	start, err := s.Revision(ctx)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("/registry/crash/%d-%d", start, i)
		rev, err := s.Create(ctx, key, []byte(key), 0)
		if err != nil {
			return err
		}
		fmt.Println(key, rev)
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]int64{}
	for round := range 3 {
		killAfter(t, dir, 50+100*round, acknowledged)
	}
	began := time.Now()
	s := open(t, store.Config{Dir: dir})
	t.Logf("reopened after the kill in %v", time.Since(began))
	for key, rev := range acknowledged {
		kv, found, _, err := s.Get(t.Context(), key)
		if err != nil || !found || kv.ModRevision != rev || string(kv.Value) != key {
			t.Fatalf("%s acknowledged at %d is %+v, found %v: %v", key, rev, kv, found, err)
		}
	}
	if p, err := s.List(t.Context(), "/registry/crash/", store.ListOptions{}); err != nil || len(p.KVs) < len(acknowledged) {
		t.Fatalf("%d of %d keys: %v", len(p.KVs), len(acknowledged), err)
	}
}

// killAfter runs a writer in dir, kills it after n acknowledged writes and adds those to acknowledged.
func killAfter(t *testing.T, dir string, n int, acknowledged map[string]int64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, seen := bufio.NewReader(out), 0
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // what the dying child wrote after the kill counts too
		}
		var key string
		var rev int64
		if _, err := fmt.Sscan(strings.TrimSpace(line), &key, &rev); err != nil {
			t.Fatal(err)
		}
		acknowledged[key] = rev
		if seen++; seen == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the writer ended by itself after %d writes: %v", seen, err)
	}
}
