// Package cache is the one copy of the cluster's state in memory: stored bytes with a small index record, in revision order.
//
// One watch of the store over the whole prefix feeds one immutable tree and one log of recent events a resource. A LIST
// at any revision of the log, a page of a continued LIST and a WATCH are answered from here without decoding anything.
// internal/apiserver is the only caller. All methods are safe for concurrent use; objects are shared and must not be
// changed. To test against it, run a Cache over store.NewMemory.
//
//	store --Watch--> apply --> resource: tree + indexes --> Snapshot (lists)
//	                                    \ log of events --> Watcher (a cursor each; woken by group)
//
// One lock guards all of it: apply holds it for the few microseconds of a batch, readers share it, and filters, encodings and
// walks over snapshots run outside of it.
package cache

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/store"
)

// Meta is the index record of one object, read from its stored bytes once.
type Meta struct {
	Namespace, Name, UID string
	Labels               map[string]string
	Fields               map[string]string // selectable fields, by their API path: spec.nodeName
	Deleting             bool              // deletionTimestamp is set
	Body                 Span              // where the object's own message is in the stored bytes, for whoever asks Object.Body
}

// A Resource is one kind's keys in the store.
type Resource struct {
	// Prefix of all keys, ending in "/": /registry/pods/. Below it come namespace/name or name.
	Prefix string
	// Index reads the record from the stored bytes. An object whose bytes it cannot read stays in the cache with Err set.
	Index func(key string, value []byte) (Meta, error)
	// Canonical returns the form of a stored value that is served, which is the value itself where nothing is to change.
	// It is called once for each value, before Index; nil leaves all as they are. What it cannot read stays as it is.
	Canonical func(kv store.KV) ([]byte, error)
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
	// MemoBytes bounds all rendered encodings together (see Object.Memo), as they are packed; 0 means 64 MiB, room for a list
	// of 20,000 pods in JSON. Nothing of it stays when nobody reads.
	MemoBytes int
	// BookmarkEvery is the time between the bookmarks of a watcher; 0 means a minute.
	BookmarkEvery time.Duration
	Log           *slog.Logger
}

func (cfg Config) withDefaults() Config {
	orDefault(&cfg.Prefix, "/registry/")
	orDefault(&cfg.HistoryEvents, 16384)
	orDefault(&cfg.HistoryBytes, 16<<20)
	orDefault(&cfg.MemoBytes, 64<<20)
	orDefault(&cfg.BookmarkEvery, time.Minute)
	orDefault(&cfg.Log, slog.New(slog.DiscardHandler))
	return cfg
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Cache serves reads and watches.
type Cache struct {
	cfg     Config
	store   store.Store
	memos   *ledger
	written atomic.Int64 // highest revision told by Wrote
	waits   waits

	mu        sync.RWMutex
	revision  int64
	loaded    bool
	closed    bool
	resources map[string]*resource // by prefix
	joining   map[string]*joining  // resources that AddResource is loading
	marked    bookmarks
	older     older
	loadedAt  int64         // revision of the last load
	wantPast  chan struct{} // holds a token where a watch from before the load was asked for
	filled    chan struct{} // closed when the logs reach back before the load, or never will (see backfill)
}

// New returns a Cache that is empty until Run.
func New(st store.Store, cfg Config) *Cache {
	cfg = cfg.withDefaults()
	c := &Cache{
		cfg:       cfg,
		store:     st,
		memos:     newLedger(cfg.MemoBytes),
		resources: map[string]*resource{},
		joining:   map[string]*joining{},
		wantPast:  make(chan struct{}, 1),
		filled:    make(chan struct{}),
	}
	c.marked.every = cfg.BookmarkEvery
	for _, r := range cfg.Resources {
		c.resources[r.Prefix] = newResource(r, cfg)
	}
	return c
}

// find is the resource that covers a key or prefix: the one with the longest prefix, tried slash by slash.
func (c *Cache) find(key string) *resource {
	for end := len(key); end > 0; end = strings.LastIndexByte(key[:end-1], '/') + 1 {
		if r := c.resources[key[:end]]; r != nil {
			return r
		}
	}
	return nil
}

// Get returns the object at key as of Revision.
func (c *Cache) Get(key string) (*Object, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r := c.find(key)
	if r == nil {
		return nil, false
	}
	return r.get(key)
}

// GetAt returns the object at key as of revision. Errors: ErrExpired, ErrFuture, ErrUnknown.
func (c *Cache) GetAt(key string, revision int64) (*Object, bool, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r := c.find(key)
	if err := c.covers(r, revision); err != nil {
		return nil, false, err
	}
	for seq := r.log.after(revision); seq < r.log.next; seq++ {
		if e := r.log.at(seq); e.key() == key {
			return e.prev, e.prev != nil, nil // the first later write knows what it replaced
		}
	}
	o, found := r.get(key)
	return o, found, nil
}

// covers says why a resource's state at revision cannot be had from its tree and log.
func (c *Cache) covers(r *resource, revision int64) error {
	switch {
	case r == nil:
		return ErrUnknown
	case revision > c.revision:
		return ErrFuture
	case revision < r.log.floor:
		return ErrExpired
	}
	return nil
}
