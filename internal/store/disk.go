package store

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// reserve is what must be free on the disk before a key is written: the log's next segment, one step of the
	// database file, and as much again for what is written in between. etcd ends the process where one of them fails.
	reserve = 4 * walSegment
	// lookEvery bounds how often the disk is looked at.
	lookEvery = 100 * time.Millisecond
)

// disk refuses writes while the disk under the data directory is nearly full, early enough that etcd never meets its end.
// Reads and deletes go on. It is looked at when a write comes, never otherwise.
type disk struct {
	dir    string
	statfs func(dir string, st *unix.Statfs_t) error

	mu     sync.Mutex
	looked time.Time
	err    error
}

func newDisk(dir string) *disk { return &disk{dir: dir, statfs: unix.Statfs} }

// room returns an ErrNoSpace that says where and how much, or nil. A disk that cannot be asked counts as roomy.
func (d *disk) room(now time.Time) error {
	if d == nil {
		return nil // etcd is elsewhere
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.looked) < lookEvery {
		return d.err
	}
	d.looked, d.err = now, nil
	var st unix.Statfs_t
	if d.statfs(d.dir, &st) != nil {
		return nil
	}
	// A small disk has a small reserve, else nothing could ever be written to it.
	free, need := st.Bavail*uint64(st.Bsize), min(reserve, st.Blocks*uint64(st.Bsize)/8)
	if free < need {
		d.err = fmt.Errorf("%w: %s has %d MiB left, and %d MiB are kept free; reads and deletes go on", ErrNoSpace, d.dir, free>>20, need>>20)
	}
	return d.err
}
