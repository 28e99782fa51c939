package crilog

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// rotateFor starts a new file if n more bytes would pass the size limit. If that fails the old file goes on: output is
// worth more than its limit.
func (l *Log) rotateFor(n int) error {
	p := l.t.progress(l.slot)
	if l.o.MaxSize <= 0 || p.off == 0 || int64(p.off)+int64(n) <= l.o.MaxSize {
		return nil
	}
	var st unix.Stat_t
	// Somebody else may have renamed the file, or a crash came between our rename and the new file: then only open.
	if err := unix.Stat(l.o.Path, &st); err == nil && st.Ino == p.ino {
		if err := l.shift(); err != nil {
			return err
		}
	}
	return l.Reopen()
}

// shift renames path to path.1, path.1 to path.2 and so on, over the oldest.
func (l *Log) shift() error {
	keep := max(l.o.MaxFiles, 2) - 1
	name := func(i int) string {
		if i == 0 {
			return l.o.Path
		}
		return fmt.Sprintf("%s.%d", l.o.Path, i)
	}
	for i := keep - 1; i >= 0; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && (i == 0 || !os.IsNotExist(err)) {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	return nil
}
