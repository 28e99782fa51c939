// Package crilog writes containers' output to CRI log files such that a kill -9 at any instruction neither loses nor
// doubles a byte.
//
// How: the progress of every log lives in a shared mapping of a file (a killed process leaves it intact), and bytes go
// from the container's pipe to us through one scratch pipe whose both ends the keeper holds. A step is
//
//	splice pipe -> scratch     bytes are in exactly one of the two pipes
//	note their number n        in the mapping
//	read scratch -> mapping    what is missing in scratch is in the mapping
//	write log at its offset    a repetition first cuts the file back to the offset
//	commit offset and rest     one atomic store switches between two versions
//	n = 0
//
// and Recover finishes the one step that may have been interrupted. The shim calls it from one goroutine at a time
// (nothing here locks); tests kill a child process in the midst of it.
package crilog

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Slots bounds the containers of one node.
	Slots   = 2048
	chunk   = 64 << 10
	magic   = 0x31676f6c636d6e
	pending = 4 * MaxLine // two streams, two versions
)

// A progress is one version of a log's state.
type progress struct {
	off     uint64 // length of the log file that is committed
	ino     uint64 // which file that is
	dropped uint64
	step    uint64 // number of the last step committed
	rest    [2]uint32
	buf     [2]uint8 // which of the two rest buffers of each stream is valid
	_       [6]uint8
}

type slot struct {
	current uint32 // index of the valid version
	_       uint32
	version [2]progress
	_       [2]uint64
}

type header struct {
	magic  uint64
	step   uint64 // number of the step under way or last done
	stream uint32 // slot*2 + 0 for stdout, 1 for stderr
	n      uint32 // bytes of the step, 0 when it is done
	ready  uint32 // n once all of them are in the mapping
	_      uint32
	pipe   uint64 // inode of the scratch pipe
}

type layout struct {
	header header
	_      [4096 - unsafe.Sizeof(header{})]byte
	chunk  [chunk]byte
	slot   [Slots]slot
}

// A Table is the shared mapping.
type Table struct {
	mem  []byte
	l    *layout
	in   int // write end of the scratch pipe
	out  int // read end
	emit []byte
}

// OpenTable maps path, creating it if missing. scratchIn and scratchOut are the write and read end of the scratch pipe,
// which must be the same pipe across restarts. The caller keeps them open as long as the Table.
func OpenTable(path string, scratchIn, scratchOut *os.File) (*Table, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("crilog: %w", err)
	}
	defer f.Close()
	rests := (int(unsafe.Sizeof(layout{})) + 4095) &^ 4095
	size := rests + Slots*pending
	if err := f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("crilog: %w", err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("crilog: map %s: %w", path, err)
	}
	t := &Table{mem: mem, l: (*layout)(unsafe.Pointer(&mem[0])), in: int(scratchIn.Fd()), out: int(scratchOut.Fd())}
	switch t.l.header.magic {
	case 0:
		t.l.header.magic = magic
	case magic:
	default:
		unix.Munmap(mem)
		return nil, fmt.Errorf("crilog: %s was written by another version", path)
	}
	return t, nil
}

// Close unmaps the table.
func (t *Table) Close() error { return unix.Munmap(t.mem) }

func (t *Table) rest(slot, stream int, buf uint8) []byte {
	base := (int(unsafe.Sizeof(layout{}))+4095)&^4095 + slot*pending + (stream*2+int(buf))*MaxLine
	return t.mem[base : base+MaxLine : base+MaxLine]
}

func (t *Table) progress(slot int) progress {
	s := &t.l.slot[slot]
	return s.version[atomic.LoadUint32(&s.current)&1]
}

// commit makes p the valid version with one atomic store.
func (t *Table) commit(slot int, p progress) {
	s := &t.l.slot[slot]
	next := 1 - atomic.LoadUint32(&s.current)&1
	s.version[next] = p
	atomic.StoreUint32(&s.current, next)
}

// reset makes the slot new.
func (t *Table) reset(slot int) {
	p := progress{step: t.l.header.step}
	t.commit(slot, p)
	t.commit(slot, p)
	base := (int(unsafe.Sizeof(layout{}))+4095)&^4095 + slot*pending
	// Give the pages back; a file system that cannot just keeps them.
	_ = unix.Madvise(t.mem[base:base+pending], unix.MADV_REMOVE)
}
