package shim

import "errors"

// The kinds of errors a caller can act on; test with errors.Is. Every other error carries its own explanation.
var (
	// ErrNotFound: no container (or exec session) of that ID.
	ErrNotFound = errors.New("not found")
	// ErrExists: Create for an ID that is in use with a different request, or whose container has already started.
	ErrExists = errors.New("already exists")
	// ErrState: the container is in a state that forbids the call, e.g. Exec in one that has exited.
	ErrState = errors.New("wrong state")
	// ErrInvalid: the request is malformed; the message says where and how to mend it.
	ErrInvalid = errors.New("invalid")
	// ErrCreate: the container could not be created or started; the message is the kernel's or libcontainer's reason.
	ErrCreate = errors.New("cannot create container")
	// ErrResync: Events was asked to continue from a sequence number that is no longer kept. List, then continue there.
	ErrResync = errors.New("events no longer kept: list and continue from its sequence number")
	// ErrUnavailable: the shim did not answer although the call was retried; its outcome is unknown.
	ErrUnavailable = errors.New("shim unavailable")
	// ErrBusy: Shutdown while containers remain.
	ErrBusy = errors.New("containers remain")
	// ErrMissed: the first Attach to a container with KeepEarly came too late for all of its output; the log has it.
	ErrMissed = errors.New("early output was missed")
)

// kinds names the errors on the wire.
var kinds = []struct {
	name string
	err  error
}{
	{"not-found", ErrNotFound}, {"exists", ErrExists}, {"state", ErrState}, {"invalid", ErrInvalid},
	{"create", ErrCreate}, {"resync", ErrResync}, {"unavailable", ErrUnavailable}, {"busy", ErrBusy}, {"missed", ErrMissed},
}

// Kind returns the wire name of err's kind, "error" if it is none of this package's.
func Kind(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "error"
}

// A remoteError is an error that came over the wire: the server's words, and its kind for errors.Is.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// fromKind rebuilds an error from the wire.
func fromKind(kind, text string) error {
	e := &remoteError{text: text}
	for _, k := range kinds {
		if k.name == kind {
			e.kind = k.err
		}
	}
	return e
}
