package static

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
)

// events are those after which a directory's files may say something else.
const events = unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_ONLYDIR

// Watch calls changed after each change of dir until ctx ends. Ready is called when it watches: what was read after that
// is not out of date without a call.
func Watch(ctx context.Context, dir string, ready, changed func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		return errors.Join(fmt.Errorf("watch %s: %w", dir, err), f.Close())
	}
	ready()
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("close", func(ctx context.Context) error { <-ctx.Done(); return f.Close() })
		buf := make([]byte, 64<<10)
		for {
			if _, err := f.Read(buf); err != nil {
				if errors.Is(err, os.ErrClosed) {
					return nil
				}
				return fmt.Errorf("watch %s: %w", dir, err)
			}
			changed()
		}
	})
}
