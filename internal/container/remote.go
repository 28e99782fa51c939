package container

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// plain takes gRPC's words around an error off, and keeps its code for status.Code.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); !ok {
		return err
	}
	return &remote{err}
}

type remote struct{ err error }

// Error is the runtime's message alone.
func (r *remote) Error() string { return status.Convert(r.err).Message() }

// Unwrap lets status.Code look.
func (r *remote) Unwrap() error { return r.err }

// Lost reports whether err means that nobody serves the node any more, so that it may be asked again elsewhere.
func Lost(err error) bool {
	var r *remote
	return errors.As(err, &r) && status.Code(r.err) == codes.Unavailable
}

// IsGone reports whether err says that the container was removed.
func IsGone(err error) bool { return errors.Is(err, ErrNotFound) }
