package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := openRotated(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, want := range []struct{ now, before string }{
		{"old\nline1\n", ""}, {"line2\n", "old\nline1\n"}, {"line3\n", "line2\n"}, {"more than there is room for\n", "line3\n"}, {"line5\n", "more than there is room for\n"},
	} {
		line := fmt.Sprintf("line%d\n", i+1)
		if i == 3 {
			line = want.now
		}
		if _, err := r.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		now, _ := os.ReadFile(path)
		before, _ := os.ReadFile(path + ".1")
		if string(now) != want.now || string(before) != want.before {
			t.Errorf("after %q: %q and before it %q, want %q and %q", line, now, before, want.now, want.before)
		}
	}
}
