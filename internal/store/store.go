// Package store keeps the cluster's state: a key-value store with one revision counter, holding upstream's etcd keys
// (/registry/pods/ns/name) and stored bytes.
//
// Open starts etcd inside the program, Dial uses an etcd elsewhere, NewMemory is a complete stand-in for tests; all three
// pass the same suite (storetest). Only internal/cache, internal/apiserver and the plug board call this package. All
// methods are safe for concurrent use. Compaction, defragmentation and leases are the store's own work, never the
// caller's. To test against it, use NewMemory.
package store

import (
	"context"
	"time"
)

// A KV is one key at one revision. Value is shared and must not be changed.
type KV struct {
	Key            string
	Value          []byte
	ModRevision    int64 // revision of the last write of the key
	CreateRevision int64 // revision of the write that created it
	Lease          int64 // 0: the key does not expire
}

// ListOptions narrow a List.
type ListOptions struct {
	Revision int64  // read the state as of this revision; 0: now
	Limit    int    // at most so many keys; 0: all
	From     string // first key to return where greater than the prefix (a continue position); "": the prefix's first
}

// A Page is the answer of List, in key order.
type Page struct {
	KVs       []KV
	Revision  int64 // the revision of the state that was read
	More      bool  // there are keys after the last of KVs
	Remaining int64 // how many
}

// EventType says what a write did to a key.
type EventType int8

// The kinds of Event.
const (
	Created EventType = iota
	Updated
	Deleted
)

// An Event is one write of one key. For Deleted, KV has the key, the revision of the deletion and no value.
// Prev is the state before the write for Updated and Deleted where WatchOptions.Prev asked for it; it is nil where that
// state was compacted.
type Event struct {
	Type EventType
	KV   KV
	Prev *KV
}

// A Batch is what a watch delivers: all events of one or more whole revisions, in revision order. Everything of the
// watched prefix up to Revision has been delivered with it; a batch without events only says that (progress).
type Batch struct {
	Events   []Event
	Revision int64
}

// WatchOptions of Watch.
type WatchOptions struct {
	// Prev asks for Event.Prev, which costs the store a read for each event.
	Prev bool
}

// AnyRevision as the expected revision of Update and Delete matches every existing key.
const AnyRevision int64 = 0

// Store is the contract. Every error is one of those in errors.go, the context's, or a failure of the machine.
type Store interface {
	// Get reads the newest acknowledged state of key and the store's revision at that moment.
	Get(ctx context.Context, key string) (kv KV, found bool, revision int64, err error)
	// List reads keys that start with prefix. Errors: ErrCompacted, ErrFutureRevision for opts.Revision.
	List(ctx context.Context, prefix string, opts ListOptions) (Page, error)
	// Create, Update and Delete return the revision of the write. With ErrExists or a *ConflictError they return that of the
	// state which refused it: the caller knows of everything up to there.

	// Create writes a key that must not exist; ttl 0 means for ever. Errors: ErrExists, ErrNoSpace.
	Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision int64, err error)
	// Update replaces a key whose ModRevision is expect. The new value lives for ttl from now, 0 means for ever.
	// Errors: *ConflictError, also where the key does not exist (it then is ErrNotFound too), ErrNoSpace.
	Update(ctx context.Context, key string, value []byte, expect int64, ttl time.Duration) (revision int64, err error)
	// Delete removes a key whose ModRevision is expect. Errors: as Update.
	Delete(ctx context.Context, key string, expect int64) (revision int64, err error)
	// Watch calls each with every write of the keys under prefix whose revision is greater than after, in order, from one
	// goroutine, until ctx ends, each fails, or the watch breaks; it returns why and never nil.
	// Errors: ErrCompacted where after+1 or a later undelivered revision was compacted, ErrClosed, or that of each.
	// A broken watch (any other error) may be taken up again after the last delivered Batch.Revision.
	Watch(ctx context.Context, prefix string, after int64, opts WatchOptions, each func(Batch) error) error
	// Progress makes all watches deliver a Batch whose Revision is at least the store's revision now (or nearly so: ask
	// again). It is needed only where keys outside of a watch's prefix move the revision.
	Progress(ctx context.Context) error
	// Revision is the newest acknowledged revision.
	Revision(ctx context.Context) (int64, error)
	// Compact forgets the history before revision. Errors: ErrCompacted where done already, ErrFutureRevision.
	Compact(ctx context.Context, revision int64) error

	// Floor is the oldest revision whose state is kept, as far as this Store's own compactions say. It asks nobody.
	Floor() int64
	// Close ends all watches with ErrClosed, waits for the store's goroutines and releases its files.
	Close() error
}
