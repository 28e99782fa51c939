// Package cache is the one copy of the cluster's state in memory: stored bytes with a small index record, in revision order.
//
// One watch of the store over the whole prefix feeds one immutable tree and one log of recent events a resource. A LIST
// at any revision of the log, a page of a continued LIST and a WATCH are answered from here without decoding anything.
// internal/apiserver is the only caller. All methods are safe for concurrent use; objects are shared and must not be
// changed. To test against it, run a Cache over store.NewMemory.
package cache

import (
	"context"
	"errors"
	"log/slog"

	"minato.dev/minato/internal/store"
)

// Errors of this package.
var (
	// ErrExpired is returned when a revision is older than what the cache and the store still know: the API's 410. It also
	// ends a watcher that fell too far behind.
	ErrExpired = errors.New("revision is too old")
	// ErrFuture is returned when a revision has not been seen yet and the caller did not wait for it (see WaitFor).
	ErrFuture = errors.New("revision is in the future")
	// ErrUnknown is returned when no resource of the cache covers the key or prefix; it ends watchers of a removed resource.
	ErrUnknown = errors.New("no such resource in the cache")
	// ErrClosed is returned when Run has ended.
	ErrClosed = errors.New("cache is closed")
)

// Meta is the index record of one object, read from its stored bytes once.
type Meta struct {
	Namespace, Name, UID string
	Labels               map[string]string
	Fields               map[string]string // selectable fields, by their API path: spec.nodeName
	Deleting             bool              // deletionTimestamp is set
}

// A Resource is one kind's keys in the store.
type Resource struct {
	// Prefix of all keys, ending in "/": /registry/pods/. Below it come namespace/name or name.
	Prefix string
	// Index reads the record from the stored bytes. An object whose bytes it cannot read stays in the cache with Err set.
	Index func(key string, value []byte) (Meta, error)
	// Indexed are names of Fields by which Snapshot.ByField and WatchOptions.Field find objects without a scan.
	Indexed []string
}

// Config is parsed once; zero values choose the defaults named here.
type Config struct {
	// Prefix is what the store's watch covers; "" means /registry/.
	Prefix    string
	Resources []Resource
	// SoleWriter says that all writes to the store go through Cache.Store (or are told by Wrote), so that Fresh needs no
	// round trip to the store. Leave it false with an external etcd that others write to.
	SoleWriter bool
	// HistoryEvents bounds the log of one resource, in events; 0 means 16384. HistoryBytes bounds the bytes that only the log
	// keeps alive, for one resource; 0 means 16 MiB.
	HistoryEvents int
	HistoryBytes  int
	// MemoBytes bounds all rendered encodings together (see Object.Memo); 0 means 32 MiB.
	MemoBytes int
	Log       *slog.Logger
}

// New returns a Cache that is empty until Run.
func New(st store.Store, cfg Config) *Cache { return &Cache{} }

// Cache serves reads and watches.
type Cache struct{}

// Run loads all resources, calls ready once, and follows the store until ctx ends. It returns an error where the store
// is closed or cannot be read at the first load; later breaks of the watch are taken up again.
func (c *Cache) Run(ctx context.Context, ready func()) error { return errors.ErrUnsupported }

// Store is the store with every acknowledged write told to the cache: write through it and read your writes by Fresh.
func (c *Cache) Store() store.Store { return nil }

// Wrote tells the cache that the write with this revision has been acknowledged.
func (c *Cache) Wrote(revision int64) {}

// Revision is the revision up to which the cache has seen everything.
func (c *Cache) Revision() int64 { return 0 }

// WaitFor returns when the cache has seen revision. Errors: the context's, ErrClosed.
func (c *Cache) WaitFor(ctx context.Context, revision int64) error { return errors.ErrUnsupported }

// Fresh returns when the cache has seen every write that was acknowledged before the call, and returns the revision
// then reached: a read after it is consistent. Errors: the context's, the store's, ErrClosed.
func (c *Cache) Fresh(ctx context.Context) (int64, error) { return 0, errors.ErrUnsupported }

// Get returns the object at key as of Revision.
func (c *Cache) Get(key string) (*Object, bool) { return nil, false }

// GetAt returns the object at key as of revision. Errors: ErrExpired, ErrFuture, ErrUnknown.
func (c *Cache) GetAt(key string, revision int64) (*Object, bool, error) {
	return nil, false, errors.ErrUnsupported
}

// Snapshot returns the state of the resource with this prefix (Resource.Prefix) as of Revision, in constant time.
// Errors: ErrUnknown.
func (c *Cache) Snapshot(prefix string) (*Snapshot, error) { return nil, errors.ErrUnsupported }

// SnapshotAt returns the state as of revision. Errors: ErrExpired, ErrFuture, ErrUnknown.
func (c *Cache) SnapshotAt(prefix string, revision int64) (*Snapshot, error) {
	return nil, errors.ErrUnsupported
}

// AddResource starts to cache one more resource and returns when it is loaded. Adding a prefix that is there replaces it.
func (c *Cache) AddResource(ctx context.Context, r Resource) error { return errors.ErrUnsupported }

// RemoveResource forgets a resource and ends its watchers with ErrUnknown.
func (c *Cache) RemoveResource(prefix string) {}

// Watch follows the keys that start with prefix (a resource's prefix, one namespace of it ending in "/", or one whole
// key) after the revision after; filter, which may be nil, sees objects and decides which belong to the watch. The caller must
// Close the Watcher. Errors: ErrExpired, ErrFuture, ErrUnknown, the context's.
func (c *Cache) Watch(ctx context.Context, prefix string, after int64, filter func(*Object) bool, opts WatchOptions) (*Watcher, error) {
	return nil, errors.ErrUnsupported
}
