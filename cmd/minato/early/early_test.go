package early

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"minato.dev/minato/internal/build"
)

// What a record is known by is written and read by two programs' code.
func TestRecordIsKnown(t *testing.T) {
	text, err := build.Record(self, "/helper", build.Place{Pull: []string{"a\nb"}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	lines := split(read(path), '\n')
	if len(lines) != 3 || lines[0] != identity() || lines[1] != "/helper" || lines[0] == "" {
		t.Errorf("%q, known by %q", lines, identity())
	}
}

// A record in a directory that others may write is not followed.
func TestOnlyOwnFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if own(path) {
		t.Error("a file that is not there is ours")
	}
	for _, c := range []struct {
		mode os.FileMode
		uid  int
		want bool
	}{{0o600, 0, true}, {0o755, 0, true}, {0o664, 0, false}, {0o602, 0, false}, {0o600, 12345, false}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, c.uid, 0); err != nil {
			t.Fatal(err)
		}
		if got := own(path); got != c.want {
			t.Errorf("mode %o of %d: %t", c.mode, c.uid, got)
		}
	}
}

// Whatever it imported would be initialised before it, with all that stands on that.
func TestImportsSyscallAlone(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "early.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		if strings.Trim(i.Path.Value, `"`) != "syscall" {
			t.Errorf("imports %s", i.Path.Value)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 10: "10", 1795477625: "1795477625", 1<<63 - 1: "9223372036854775807"} {
		if got := number(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
