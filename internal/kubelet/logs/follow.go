package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
)

// Follow writes the file as Read does and then what is added to it, over rotations, until ctx ends or the container has
// ended (ended is closed) and everything it wrote is out.
func Follow(ctx context.Context, w io.Writer, path string, o Options, ended <-chan struct{}) error {
	watch, err := newWatch(filepath.Dir(path))
	if err != nil {
		return err
	}
	return run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		s.Go("inotify", func(ctx context.Context) error { return watch.pump() })
		defer watch.close()
		return follow(s.Context(), w, path, o, ended, watch.changed)
	})
}

func follow(ctx context.Context, w io.Writer, path string, o Options, ended <-chan struct{}, changed <-chan struct{}) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	if err := seekTail(f, o.Tail); err != nil {
		return err
	}
	t := &tail{p: newPrinter(w, o), r: bufio.NewReaderSize(f, 64<<10)}
	for {
		if err := t.drain(); err != nil {
			return clean(err)
		}
		if next := reopened(f, path); next != nil {
			// The old file may have got a last line between drain and the new file's birth.
			if err := t.drain(); err != nil {
				next.Close()
				return clean(err)
			}
			f.Close()
			f, t.half = next, nil
			t.r.Reset(f)
			continue
		}
		select {
		case <-changed:
		case <-ended:
			return clean(t.drain())
		case <-ctx.Done():
			return nil
		}
	}
}

// tail reads whole lines and keeps what is there of the next one.
type tail struct {
	p    *printer
	r    *bufio.Reader
	half []byte
}

func (t *tail) drain() error {
	for {
		raw, err := t.r.ReadBytes('\n')
		if err != nil {
			t.half = append(t.half, raw...)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if len(t.half) > 0 {
			raw, t.half = append(t.half, raw...), nil
		}
		if err := t.p.print(raw); err != nil {
			return err
		}
	}
}

// reopened opens the file that has taken the path from f, nil where there is none.
func reopened(f *os.File, path string) *os.File {
	now, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if mine, err := f.Stat(); err != nil || os.SameFile(now, mine) {
		return nil
	}
	next, err := os.Open(path)
	if err != nil {
		return nil
	}
	return next
}

// watch wakes up on changes in one directory.
type watch struct {
	f       *os.File
	changed chan struct{}
}

func newWatch(dir string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return &watch{os.NewFile(uintptr(fd), "inotify"), make(chan struct{}, 1)}, nil
}

func (w *watch) close() { w.f.Close() }

// pump turns inotify events into tokens until the file is closed.
func (w *watch) pump() error {
	buf := make([]byte, 64*(int(unsafe.Sizeof(unix.InotifyEvent{}))+unix.NAME_MAX+1))
	for {
		if _, err := w.f.Read(buf); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}
