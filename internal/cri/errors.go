package cri

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// IsNotFound says that the sandbox, container or image does not exist (any more): a stop or removal has been done.
func IsNotFound(err error) bool { return status.Code(err) == codes.NotFound }

// IsUnimplemented says that the server does not know the verb; the caller falls back or names the missing feature.
func IsUnimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// IsTimeout says that the verb, or the command that ExecSync ran, did not end in time.
func IsTimeout(err error) bool { return status.Code(err) == codes.DeadlineExceeded }

// IsUnavailable says that nobody answers on the socket: the runtime is down or restarting.
func IsUnavailable(err error) bool { return status.Code(err) == codes.Unavailable }

// Message returns the server's own words without gRPC's "rpc error: code = ..." around them, as events show them.
func Message(err error) string {
	if err == nil {
		return ""
	}
	if s, ok := status.FromError(err); ok && s.Message() != "" {
		return s.Message()
	}
	return err.Error()
}
