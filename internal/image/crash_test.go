package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"minato.dev/minato/internal/run/alone"
)

// crashDir makes the test program load an archive from its standard input into that directory and nothing else.
const crashDir = "MINATO_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(alone.Place{Root: "unpack what belongs to others"}.Run(m))
	}
	s, err := Open(Config{Dir: dir})
	if err == nil {
		_, err = s.Load(context.Background(), os.Stdin, LoadOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKilledWhileLoading kills the program at many moments of one load. Whatever is there afterwards must be whole: no
// image, or the complete one; and the next load must succeed.
func TestKilledWhileLoading(t *testing.T) {
	var entries []entry
	for i := range 300 {
		entries = append(entries, file(fmt.Sprintf("d%d/f%d", i%7, i), string(bytes.Repeat([]byte{byte(i)}, 5000))))
	}
	archive := build(t, nil, gz, layer(t, entries...), layer(t, entries[:150]...)).ociArchive(t, "app:1")
	dir := t.TempDir()
	whole := 0
	const rounds = 12
	for round := range rounds {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stdin = bytes.NewReader(archive)
		out, err := cmd.StderrPipe()
		ok(t, err)
		ok(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(5+4*round*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		if round == rounds-1 { // one is left alone
			timer.Stop()
		}
		said, _ := io.ReadAll(out)
		err = cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
			t.Fatalf("round %d: %v: %s", round, err, said)
		}
		s, err := Open(Config{Dir: dir})
		ok(t, err)
		i, found := s.Resolve("app:1")
		if !found {
			continue
		}
		whole++
		for n, want := range []int{150, 300} {
			count, err := exec.Command("sh", "-c", "find "+i.Layers[n]+" -type f -size 5000c | wc -l").Output()
			if err != nil || string(bytes.TrimSpace(count)) != fmt.Sprint(want) {
				t.Fatalf("round %d: layer %d has %s files, want %d", round, n, count, want)
			}
		}
		ok(t, s.Remove(t.Context(), "app:1", RemoveOptions{}))
	}
	s, err := Open(Config{Dir: dir})
	ok(t, err)
	load(t, s, archive)
	if whole == 0 {
		t.Errorf("no load of %d was complete", rounds)
	}
}
