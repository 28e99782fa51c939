package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// A log is the file of a Book: a line for each change, the last of an id being the true one.
//
//	<checksum> <id> <record as JSON>
//	<checksum> <id>                     the record is gone
//
// A line at the end of one file costs the disk a tenth of what a file of its own costs, and forcing it there forces all
// lines before it too, so that changes at the same time share the wait. A line whose checksum is wrong was not written
// whole and is none. A file that has grown is written anew.
type log struct {
	path string

	syncing sync.Mutex // held while the file is forced to the disk or replaced; before mu
	synced  int64      // what of written is on the disk

	mu      sync.Mutex
	f       *os.File
	size    int64 // of f
	live    int64 // of f when it was new
	written int64 // bytes in all, of f and of those before it
	torn    bool  // f may end in the middle of a line
	failed  bool  // the disk refused what it had taken: f is not to be trusted with more
}

// slack is how much f may hold beside what is true. The file's room on the disk is taken at once, so that removals can be
// written down on a disk that is full.
const slack = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(id string, data []byte) []byte {
	rest := []byte(id)
	if data != nil {
		rest = append(append(rest, ' '), data...)
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(rest, castagnoli), rest)
}

// decode returns data nil for a removal, and not ok for what is no whole line.
func decode(line []byte) (id string, data []byte, ok bool) {
	sum, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(rest, castagnoli)) {
		return "", nil, false
	}
	name, data, _ := bytes.Cut(rest, []byte(" "))
	return string(name), data, true
}

// replay returns the last line of each id, and how many lines before the last of the file are none: those were whole once.
// A file that is not there is empty.
func replay(path string) (lines map[string][]byte, bad int, err error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	lines = map[string][]byte{}
	for len(content) > 0 {
		line, rest, _ := bytes.Cut(content, []byte("\n"))
		id, data, ok := decode(line)
		switch {
		case !ok && len(rest) > 0 && len(line) > 0:
			bad++
		case ok && data == nil:
			delete(lines, id)
		case ok:
			lines[id] = data
		}
		content = rest
	}
	return lines, bad, nil
}

// newLog writes the lines to a new file in the place of the one at path. On a disk that has no room for it, that one goes on.
func newLog(path string, lines map[string][]byte) (*log, error) {
	l := &log{path: path}
	err := l.renew(lines)
	if err == nil {
		return l, nil
	}
	f, old := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if old != nil {
		return nil, err
	}
	st, old := f.Stat()
	if old != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.f, l.size, l.live, l.torn = f, st.Size(), st.Size(), true
	return l, nil
}

// append writes a line. Durable lines survive a power cut when it returns without an error.
func (l *log) append(line []byte, durable bool) error {
	if err := l.makeRoom(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.torn {
		line = append([]byte("\n"), line...)
	}
	n, err := l.f.Write(line)
	if err == nil {
		l.torn, l.size, l.written = false, l.size+int64(n), l.written+int64(n)
	} else if n > 0 {
		l.torn = l.f.Truncate(l.size) != nil
	}
	end := l.written
	l.mu.Unlock()
	if err != nil || !durable {
		return err
	}
	return l.sync(end)
}

// sync returns when everything up to end is on the disk.
func (l *log) sync(end int64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= end {
		return nil // another's wait was ours too
	}
	l.mu.Lock()
	f, upto := l.f, l.written
	l.mu.Unlock()
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = true
		return os.NewSyscallError("fdatasync", err)
	}
	l.synced = upto
	return nil
}

// makeRoom replaces a file that has grown beyond its slack or cannot be trusted. Where that fails for want of room the old
// file goes on as long as the disk takes its lines.
func (l *log) makeRoom() error {
	l.mu.Lock()
	full, failed := l.size > slack+2*l.live, l.failed
	l.mu.Unlock()
	if !full && !failed {
		return nil
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, _, err := replay(l.path)
	if err == nil {
		err = l.renew(lines)
	}
	if failed {
		return err
	}
	return nil
}

// renew writes a file with these lines and goes on with it. Both locks are held, or nobody else knows l.
func (l *log) renew(lines map[string][]byte) (err error) {
	var content []byte
	for id, data := range lines {
		content = append(content, encode(id, data)...)
	}
	tmp := l.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, slack+3*int64(len(content))) // a reserve, where it can be had
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, l.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), removed(tmp))
	}
	if l.f != nil {
		_ = l.f.Close() // all that it held is in the new one
	}
	l.f, l.size, l.live, l.synced, l.torn, l.failed = f, int64(len(content)), int64(len(content)), l.written, false, false
	return syncDir(filepath.Dir(l.path))
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
