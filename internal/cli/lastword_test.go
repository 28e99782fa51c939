package cli

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
)

type failing struct{ err error }

func (f failing) Write(p []byte) (int, error) { return 0, f.err }

type kept struct{ *bytes.Buffer }

func (kept) Close() error { return nil }

// TestLastWord: what a failed disk does not take is in the kernel's log, errors alone.
func TestLastWord(t *testing.T) {
	var kernel, log bytes.Buffer
	w := &lastWord{log: &log, kernel: func() (io.WriteCloser, error) { return kept{&kernel}, nil }}
	say := slog.New(slog.NewTextHandler(w, nil))
	say.Error("fine")
	if kernel.Len() > 0 || !strings.Contains(log.String(), "fine") {
		t.Errorf("kernel %q, log %q", &kernel, &log)
	}
	w.log = failing{syscall.EROFS}
	say.Info("hello")
	say.Error("etcd cannot write its log", "err", strings.Repeat("x", 2000))
	got := kernel.String()
	if !strings.HasPrefix(got, "<3>") || strings.Contains(got, "hello") || !strings.Contains(got, "read-only file system") ||
		!strings.Contains(got, "etcd cannot write its log") || len(got) > 1000 || strings.Count(got, "\n") != 1 {
		t.Errorf("kernel %q", got)
	}
	w.kernel = func() (io.WriteCloser, error) { return nil, errors.New("no kernel log") }
	say.Error("nobody hears this")
}
