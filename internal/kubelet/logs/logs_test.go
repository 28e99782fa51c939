package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/run"
)

const sample = `2026-01-01T00:00:01.5Z stdout F one
2026-01-01T00:00:02Z stderr P tw
2026-01-01T00:00:02Z stderr F o
garbage
2026-01-01T00:00:03Z stdout F three
2026-01-01T00:00:04Z stdout F
`

func p(n int64) *int64 { return &n }

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"one\ntwo\nthree\n\n":  {},
		"three\n\n":            {Tail: p(2)},
		"":                     {Tail: p(0)},
		"one\ntwo\nthree\n\n ": {Tail: p(100)},
		"\n":                   {Since: time.Date(2026, 1, 1, 0, 0, 4, 0, time.UTC)},
		"one\ntw":              {Limit: p(6)},
		"two\n":                {Stream: "stderr"},
		"2026-01-01T00:00:03Z three\n2026-01-01T00:00:04Z \n": {Tail: p(2), Timestamps: true},
	} {
		var b bytes.Buffer
		if err := Read(&b, path, o); err != nil || b.String() != strings.TrimSuffix(want, " ") {
			t.Errorf("%+v: %q, %v, want %q", o, b.String(), err, want)
		}
	}
	if err := Read(io.Discard, path+".gone", Options{}); !os.IsNotExist(err) {
		t.Errorf("a missing log is %v", err)
	}
}

// TestFollow writes, rotates, writes on and ends, and expects every line once.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open()
	r, w := io.Pipe()
	ended, next := make(chan struct{}), 0
	s := run.NewScope(t.Context())
	s.Go("follow", func(ctx context.Context) error {
		defer w.Close()
		return Follow(ctx, w, path, Options{}, ended)
	})
	got := bufio.NewReader(r)
	for i := range 300 {
		fmt.Fprintf(f, "2026-01-01T00:00:00Z stdout F line %d\n", i)
		if i%100 == 50 {
			// Rotated while the last lines may not have been read yet: the old file is drained first.
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
				t.Fatal(err)
			}
			f.Close()
			f = open()
		}
		if i%100 < 40 {
			continue
		}
		for next <= i {
			line, err := got.ReadString('\n')
			if err != nil || line != fmt.Sprintf("line %d\n", next) {
				t.Fatalf("line %d is %q, %v", next, line, err)
			}
			next++
		}
	}
	close(ended)
	if rest, err := io.ReadAll(got); err != nil || len(rest) > 0 || next != 300 {
		t.Errorf("after line %d: %q, %v", next, rest, err)
	}
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-01T00:00:01.5Z stdout F one"))
	f.Add([]byte(" "))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, err := parse(raw); err == nil && len(l.content) > len(raw) {
			t.Error("content grew")
		}
	})
}
