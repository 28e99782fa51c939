package hold

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ringSlots = 2048
	ringMagic = 0x316572656b6d6e
)

// An Exit is one child's end as the keeper saw it. Pid and StartTime (clock ticks since boot) name the process for good.
type Exit struct {
	Pid       int
	StartTime uint64
	When      time.Time
	Code      int            // exit code, 128+signal for a signal
	Signal    syscall.Signal // 0 if none
}

type record struct {
	startTime uint64
	when      int64
	pid       uint32
	code      uint32
	status    uint32
	_         uint32
}

type ring struct {
	magic uint64
	head  uint64
	_     [6]uint64
	slot  [ringSlots]record
}

// Exits reads the ring of exit statuses. It is not safe for concurrent use.
type Exits struct {
	ring *ring
	seen uint64
}

// OpenExits maps the ring of a run directory, standing before its oldest record.
func OpenExits(runDir string) (*Exits, error) {
	path := filepath.Join(runDir, "exits")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("hold: exit statuses: %w", err)
	}
	defer f.Close()
	size := int(unsafe.Sizeof(ring{}))
	if st, err := f.Stat(); err != nil || st.Size() < int64(size) {
		return nil, fmt.Errorf("hold: %s is too short for exit statuses", path)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("hold: map %s: %w", path, err)
	}
	r := (*ring)(unsafe.Pointer(&mem[0]))
	if atomic.LoadUint64(&r.magic) != ringMagic {
		return nil, fmt.Errorf("hold: %s is no ring of exit statuses of this version", path)
	}
	e := &Exits{ring: r}
	if head := atomic.LoadUint64(&r.head); head > ringSlots {
		e.seen = head - ringSlots
	}
	return e, nil
}

// Next calls f for every record not seen yet, oldest first.
func (e *Exits) Next(f func(Exit)) {
	head := atomic.LoadUint64(&e.ring.head)
	if head-e.seen > ringSlots {
		e.seen = head - ringSlots // older ones are overwritten
	}
	for ; e.seen < head; e.seen++ {
		f(e.ring.slot[e.seen%ringSlots].exit())
	}
}

func (r *record) exit() Exit {
	x := Exit{Pid: int(r.pid), StartTime: r.startTime, When: time.Unix(0, r.when)}
	const cldExited = 1
	if r.code == cldExited {
		x.Code = int(r.status & 0xff)
		return x
	}
	x.Signal = syscall.Signal(r.status & 0x7f)
	x.Code = 128 + int(x.Signal)
	return x
}

// Find returns the newest record of a process; it does not change what Next has seen.
func (e *Exits) Find(pid int, startTime uint64) (Exit, bool) {
	head := atomic.LoadUint64(&e.ring.head)
	for i := head; i > 0 && head-i < ringSlots; i-- {
		if r := &e.ring.slot[(i-1)%ringSlots]; int(r.pid) == pid && r.startTime == startTime {
			return r.exit(), true
		}
	}
	return Exit{}, false
}
