package cache

import "context"

// EventType says what a watcher should think of an event; the words are those of the API.
type EventType string

// The types of Event. Failures end a watcher and come as Next's error.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
	Bookmark EventType = "BOOKMARK"
)

// An Event is one change as a watcher with a filter sees it: an object that begins to match is Added, one that ceases to
// match, or is gone, is Deleted. Object is the new state; for Deleted the last matching state, carrying the revision of the
// deletion. Object.Revision is always Revision (initial objects: their own). Prev is the state before, nil for Added of a new object.
// Events are shared between watchers and must not be changed.
type Event struct {
	Type     EventType
	Object   *Object // nil for Bookmark
	Prev     *Object
	Revision int64
	// InitialEnd marks the one Bookmark that follows the initial objects (WatchOptions.SendInitial), whether or not
	// bookmarks were asked for.
	InitialEnd bool
}

// WatchOptions of Watch.
type WatchOptions struct {
	// Bookmarks asks for a Bookmark about every minute.
	Bookmarks bool
	// SendInitial begins with the present state (not older than the asked revision) as Added events, then a Bookmark
	// with InitialEnd, then the changes.
	SendInitial bool
	// Field and Value, where Field is one of Resource.Indexed, limit the watch to objects whose field has this value (in addition
	// to the filter); others do not even wake it.
	Field, Value string
}

// A Watcher is one reader's place in the log. Its methods belong to one goroutine at a time, but Close and AskBookmark
// may be called from any.
type Watcher struct{}

// Next waits for the next events and returns at least one; the slice is valid until the next call. Errors: ErrExpired where
// the reader was too slow or the cache had to reload, ErrUnknown where the resource was removed, ErrClosed, the context's.
func (w *Watcher) Next(ctx context.Context) ([]Event, error) { return nil, errTodo }

// AskBookmark makes Next return a Bookmark as soon as the watcher is up to date (before the end of a connection, say).
func (w *Watcher) AskBookmark() {}

// Close releases the watcher; Next then returns ErrClosed.
func (w *Watcher) Close() {}
