package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"minato.dev/minato/internal/shim/wire"
)

// Events calls yield for every event after since, in order, until ctx ends, yield returns an error, or the stream
// breaks: with ErrResync where events may be missing (the shim was restarted or upgraded, or the caller was too slow)
// and the caller must List and continue from there, with ErrUnavailable where no shim answers. It never returns nil.
func (c *Client) Events(ctx context.Context, since uint64, yield func(Event) error) error {
	var stopped error
	err := c.retry(ctx, "events", func(ctx context.Context) error {
		err := c.eventsOnce(ctx, &since, func(e Event) error {
			stopped = yield(e)
			return stopped
		})
		if stopped != nil {
			return nil // ends the retrying
		}
		return err
	})
	if stopped != nil {
		return stopped
	}
	return err
}

func (c *Client) eventsOnce(ctx context.Context, since *uint64, yield func(Event) error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	body, err := json.Marshal(wire.Since{Seq: *since})
	if err != nil {
		return err
	}
	if err := conn.Send(wire.Call{Op: "events", Body: body}); err != nil {
		return err
	}
	for {
		var e Event
		if _, err := receive(conn, &e); err != nil {
			return err
		}
		*since = e.Seq
		if err := yield(e); err != nil {
			return err
		}
	}
}

// Attach copies the container's output from now on to io.Out and io.Err, and io.In to its stdin, beside any other
// attachment. It returns nil when the container's output has ended or its client's streams have, and ctx's error when
// that ends. A terminal's output goes to Out. A reader that is slower than the container slows the container down. The
// files stay the caller's, who closes them after the return. A restart of the shim ends it with ErrUnavailable.
func (c *Client) Attach(ctx context.Context, id string, io Stdio) error {
	return c.AttachFrom(ctx, id, io, nil)
}

// AttachFrom is Attach that calls joined, unless it is nil, once it follows the output: what the container writes
// after that is not missed. Who wants all of it calls Start then. Where it fails joined may never be called.
func (c *Client) AttachFrom(ctx context.Context, id string, io Stdio, joined func()) error {
	streams, files := io.pass()
	streams.Told = joined != nil
	err := c.attachOnce(ctx, id, streams, files, joined)
	var remote *remoteError
	switch {
	case err == nil || errors.As(err, &remote):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("shim attach: %w", context.Cause(ctx))
	default:
		return fmt.Errorf("shim attach: %w: %w", ErrUnavailable, err)
	}
}

func (c *Client) attachOnce(ctx context.Context, id string, streams wire.Streams, files []*os.File, joined func()) error {
	body, err := json.Marshal(streams)
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.Send(wire.Call{Op: "attach", ID: id, Body: body}, files...); err != nil {
		return err
	}
	if joined != nil {
		if _, err := receive(conn, nil); err != nil {
			return err
		}
		joined()
	}
	_, err = receive(conn, nil)
	return err
}
