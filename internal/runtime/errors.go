package runtime

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/shim"
)

// kinds of errors of other rooms and their gRPC codes; the first that matches counts.
var kinds = []struct {
	err  error
	code codes.Code
}{
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
	{image.ErrNotFound, codes.NotFound},
	{image.ErrInvalidName, codes.InvalidArgument},
	{image.ErrUnauthorized, codes.PermissionDenied},
	{image.ErrUnavailable, codes.Unavailable},
	{image.ErrInUse, codes.FailedPrecondition},
	{image.ErrPinned, codes.FailedPrecondition},
	{image.ErrPlatform, codes.NotFound},
	{network.ErrExhausted, codes.ResourceExhausted},
	{network.ErrPortTaken, codes.AlreadyExists},
	{shim.ErrNotFound, codes.NotFound},
	{shim.ErrState, codes.FailedPrecondition},
	{shim.ErrInvalid, codes.InvalidArgument},
	{shim.ErrUnavailable, codes.Unavailable},
}

// coded is an error of ours with its code; unlike a status it prints nothing but its words.
type coded struct {
	code codes.Code
	text string
}

func (c *coded) Error() string { return c.text }

func notFound(what, id string) error {
	return &coded{codes.NotFound, fmt.Sprintf("%s %q: not found", what, id)}
}

func invalid(format string, args ...any) error {
	return &coded{codes.InvalidArgument, fmt.Sprintf(format, args...)}
}

func precondition(format string, args ...any) error {
	return &coded{codes.FailedPrecondition, fmt.Sprintf(format, args...)}
}

func isNotFound(err error) bool {
	var c *coded
	return errors.As(err, &c) && c.code == codes.NotFound
}

// asStatus gives err the code that a kubelet expects, and keeps its words. An error that is a status stays.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, is := status.FromError(err); is {
		return err
	}
	var c *coded
	if errors.As(err, &c) {
		return status.Error(c.code, err.Error())
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return status.Error(k.code, err.Error())
		}
	}
	return status.Error(codes.Unknown, err.Error())
}

// unary and stream map what verbs return and note it at debug level; the kubelet decides what is worth an event.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	resp, err := h(ctx, req)
	if err = asStatus(err); err != nil {
		s.log.Debug("CRI verb failed", "verb", info.FullMethod, "err", err)
	}
	return resp, err
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	err := asStatus(h(srv, ss))
	if err != nil {
		s.log.Debug("CRI stream ended", "verb", info.FullMethod, "err", err)
	}
	return err
}
