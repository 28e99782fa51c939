package store

import (
	"errors"
	"fmt"
)

// Errors of every Store.
var (
	// ErrExists is returned when Create finds the key.
	ErrExists = errors.New("key exists")
	// ErrNotFound is what a *ConflictError of a missing key is.
	ErrNotFound = errors.New("key not found")
	// ErrCompacted is returned when the asked revision is older than the kept history.
	ErrCompacted = errors.New("revision has been compacted")
	// ErrFutureRevision is returned when the asked revision has not happened yet.
	ErrFutureRevision = errors.New("revision is in the future")
	// ErrNoSpace is returned when the store is full (quota) even after it tried to make room, or the disk is.
	ErrNoSpace = errors.New("store is out of space")
	// ErrTooLarge is returned when a value is larger than MaxValueBytes allows.
	ErrTooLarge = errors.New("value is too large for the store")
	// ErrUnavailable is returned when etcd does not answer for now: no leader, overloaded, a disk that hangs, or not reached.
	// Whether a write happened is not known.
	ErrUnavailable = errors.New("store does not answer")
	// ErrInUse is returned by Open when another running program has the data directory.
	ErrInUse = errors.New("data directory is in use by another running program")
	// ErrClosed is returned when the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// MaxValueBytes is about the largest key and value together that a Store takes: etcd's own default.
const MaxValueBytes = 3 << 19

// ConflictError is returned when Update or Delete does not find the key at the expected revision. Current is the key as
// it is, so that the caller can try again without reading; Found is false where the key does not exist.
type ConflictError struct {
	Key     string
	Expect  int64
	Current KV
	Found   bool
}

func (e *ConflictError) Error() string {
	if !e.Found {
		return fmt.Sprintf("%s: %v", e.Key, ErrNotFound)
	}
	return fmt.Sprintf("%s: expected revision %d, found %d", e.Key, e.Expect, e.Current.ModRevision)
}

// Is makes the conflict about a missing key an ErrNotFound.
func (e *ConflictError) Is(target error) bool { return target == ErrNotFound && !e.Found }
