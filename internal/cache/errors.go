package cache

import "errors"

// Errors of this package.
var (
	// ErrExpired is returned when a revision is older than what the cache still knows: the API's 410. It also ends a watcher that
	// fell too far behind, and all watchers when the cache had to load anew.
	ErrExpired = errors.New("revision is too old")
	// ErrFuture is returned when a revision has not been seen yet and the caller did not wait for it (see WaitFor).
	ErrFuture = errors.New("revision is in the future")
	// ErrUnknown is returned when no resource of the cache covers the key or prefix; it ends watchers of a removed resource.
	ErrUnknown = errors.New("no such resource in the cache")
	// ErrClosed is returned when Run has ended, or the Watcher was closed.
	ErrClosed = errors.New("cache is closed")
)
