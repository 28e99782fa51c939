package store

import (
	"context"
	"time"
)

// etcd forces the pages of its database file to the disk on a timer, and nothing is applied meanwhile: on a slow disk a write
// a second waits for it, and the timer wakes a node that is at rest. Acknowledged writes are in the log (WAL) already, so the
// file may come later. The committer brings it up to date when nobody writes:
//
//	asleep --write--> wait calm --no write meanwhile, or it is long ago--> commit --> asleep
//
// etcd does so itself with each snapshot of the log (snapshotEntries), when it closes, and where something is deleted for good.
const (
	commitCalm = 200 * time.Millisecond
	commitMost = 10 * time.Second
	// backendInterval is etcd's own timer, which has nothing left to do.
	backendInterval = time.Hour
)

// committer drives one member's database file.
type committer struct {
	commit     func()
	calm, most time.Duration
	wake       chan struct{} // holds one token after a write
}

func newCommitter(commit func()) *committer {
	return &committer{commit: commit, calm: commitCalm, most: commitMost, wake: make(chan struct{}, 1)}
}

// wrote tells that something is not in the file yet. It is on the path of every write: one failed send when told already.
func (c *committer) wrote() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run commits until ctx ends.
func (c *committer) run(ctx context.Context) error {
	timer := time.NewTimer(c.calm)
	defer timer.Stop()
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		for first, more := time.Now(), true; more && time.Since(first) < c.most; {
			timer.Reset(c.calm)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case <-c.wake:
			default:
				more = false
			}
		}
		c.commit()
	}
}

// wrote tells those who have work after a write.
func (s *Etcd) wrote() {
	s.keeper.wrote()
	if s.committer != nil {
		s.committer.wrote()
	}
}
