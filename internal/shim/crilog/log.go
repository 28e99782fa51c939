package crilog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The streams of a container; a terminal has only Stdout.
const (
	Stdout = 0
	Stderr = 1
)

var streamName = [2]string{"stdout", "stderr"}

// Options of a Log.
type Options struct {
	Path     string // empty: output is read and discarded
	MaxSize  int64  // rotate before a write would pass it; 0: never
	MaxFiles int    // the log and its rotated files together
	// Keep is called with every newly opened log file before anything is written to it; the shim gives it to the keeper.
	Keep func(*os.File) error
	// Tap, if not nil, sees the raw bytes of every committed step.
	Tap func(stream int, data []byte)
}

// A Log is one container's log in one slot of the Table.
type Log struct {
	t    *Table
	slot int
	o    Options
	f    *os.File
}

// NewLog resets the slot and opens the log file, appending to one that exists.
func (t *Table) NewLog(slot int, o Options) (*Log, error) {
	t.reset(slot)
	l := &Log{t: t, slot: slot, o: o}
	if o.Path == "" {
		return l, nil
	}
	return l, l.Reopen()
}

// AdoptLog continues the log of a slot after a restart. f is the file the keeper held; nil if it was lost, then the file
// at the path is continued at its end.
func (t *Table) AdoptLog(slot int, o Options, f *os.File) (*Log, error) {
	l := &Log{t: t, slot: slot, o: o, f: f}
	if o.Path == "" {
		return l, nil
	}
	if f == nil {
		return l, l.Reopen()
	}
	return l, l.settle()
}

// settle makes the committed progress and the open file fit each other: a file that nothing was committed to starts at
// its end; of the file that was being written, what lies beyond the progress is a torn write and is cut off.
func (l *Log) settle() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(l.f.Fd()), &st); err != nil {
		return fmt.Errorf("log %s: %w", l.o.Path, err)
	}
	p := l.t.progress(l.slot)
	if p.ino != st.Ino || p.off > uint64(st.Size) {
		p.ino, p.off = st.Ino, uint64(st.Size)
		l.t.commit(l.slot, p)
		return nil
	}
	if uint64(st.Size) > p.off {
		return l.f.Truncate(int64(p.off))
	}
	return nil
}

// Reopen opens the log file by its path and goes on there.
func (l *Log) Reopen() error {
	if l.o.Path == "" {
		return nil
	}
	f, err := os.OpenFile(l.o.Path, os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if l.o.Keep != nil {
		if err := l.o.Keep(f); err != nil {
			f.Close()
			return fmt.Errorf("keep log %s: %w", l.o.Path, err)
		}
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return l.settle()
}

// Dropped is the number of bytes that could not be written.
func (l *Log) Dropped() uint64 { return l.t.progress(l.slot).dropped }

// Close closes the log file.
func (l *Log) Close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}

// SetTap replaces Options.Tap.
func (l *Log) SetTap(tap func(stream int, data []byte)) { l.o.Tap = tap }

// Step moves up to 64 KB from fd, which must be non-blocking, to the log. It returns io.EOF at the end of the stream
// and unix.EAGAIN when there is nothing to read.
func (l *Log) Step(stream, fd int) error {
	h := &l.t.l.header
	h.step++
	h.stream = uint32(l.slot*2 + stream)
	n, err := unix.Splice(fd, nil, l.t.in, nil, chunk, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	switch {
	case err == unix.EINTR:
		return unix.EAGAIN
	case err == unix.EIO: // the master of a terminal whose last slave is closed
		return io.EOF
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	h.ready = 0
	h.n = uint32(n)
	if err := l.t.readScratch(0, int(n)); err != nil {
		return err
	}
	h.ready = h.n
	l.finish(stream, l.t.l.chunk[:n], false)
	return nil
}

// End writes what remains of an unfinished line, tagged P.
func (l *Log) End(stream int) {
	if p := l.t.progress(l.slot); p.rest[stream] > 0 {
		h := &l.t.l.header
		h.step++
		h.stream, h.n = uint32(l.slot*2+stream), 0
		l.finish(stream, nil, true)
	}
}

// readScratch reads n bytes of the scratch pipe to the mapping from at on.
func (t *Table) readScratch(at, n int) error {
	for n > 0 {
		m, err := unix.Read(t.out, t.l.chunk[at:at+n])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("read scratch pipe: %w", err)
		case m == 0:
			return errors.New("read scratch pipe: it ended early")
		default:
			at, n = at+m, n-m
		}
	}
	return nil
}

// finish writes the data of the current step and commits it. Rotation is a commit of its own before the step's write,
// so that a repetition of the step finds either the old or the new file, whole.
func (l *Log) finish(stream int, data []byte, end bool) {
	h := &l.t.l.header
	p := l.t.progress(l.slot)
	out := l.t.emit[:0]
	var rest1, rest2 []byte
	if l.f != nil {
		old := l.t.rest(l.slot, stream, p.buf[stream])[:p.rest[stream]]
		rest1, rest2 = newFramer(time.Now(), streamName[stream]).frame(old, data, end, func(pieces ...[]byte) {
			for _, b := range pieces {
				out = append(out, b...)
			}
		})
		_ = l.rotateFor(len(out)) // failing it, the old file goes on
		p = l.t.progress(l.slot)
		if err := writeAt(l.f, out, int64(p.off)); err != nil {
			_ = l.f.Truncate(int64(p.off)) // no torn line; a full disk does not refuse this
			p.dropped += uint64(len(data))
		} else {
			p.off += uint64(len(out))
		}
	}
	spare := 1 - p.buf[stream]
	to := l.t.rest(l.slot, stream, spare)
	p.rest[stream] = uint32(copy(to, rest1))
	p.rest[stream] += uint32(copy(to[len(rest1):], rest2))
	p.buf[stream], p.step = spare, h.step
	l.t.commit(l.slot, p)
	h.n = 0
	if l.t.emit = out[:0]; cap(out) > 4*chunk {
		l.t.emit = nil
	}
	if l.o.Tap != nil && len(data) > 0 {
		l.o.Tap(stream, data)
	}
}

func writeAt(f *os.File, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(int(f.Fd()), b, off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// Recover finishes an interrupted step. It must be called once after all logs have been adopted; log returns the log of
// a slot or nil.
func (t *Table) Recover(log func(slot int) *Log) error {
	left, err := unix.IoctlGetInt(t.out, unix.TIOCINQ)
	if err != nil {
		return fmt.Errorf("crilog: scratch pipe: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(t.out, &st); err != nil {
		return fmt.Errorf("crilog: scratch pipe: %w", err)
	}
	h := &t.l.header
	same := h.pipe == st.Ino
	h.pipe = st.Ino
	if h.n == 0 && same {
		h.n, h.ready = uint32(left), 0
	}
	switch n := int(h.n); {
	case n == 0:
		return nil
	case h.ready == h.n:
	case !same: // keeper and shim died together between splice and read: these bytes are gone
		h.n = 0
		return nil
	case n > chunk || left > n:
		return fmt.Errorf("crilog: scratch pipe holds %d bytes of a step of %d", left, n)
	default:
		if err := t.readScratch(n-left, left); err != nil {
			return err
		}
		h.ready = h.n
	}
	slot, stream := int(h.stream/2), int(h.stream%2)
	if l := log(slot); l != nil && t.progress(slot).step != h.step {
		l.finish(stream, t.l.chunk[:h.n], false)
	}
	h.n = 0
	return nil
}

// File is the open log file, nil if output is discarded.
func (l *Log) File() *os.File { return l.f }
