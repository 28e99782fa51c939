package shim

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/shim/wire"
)

// errNoAnswer says that the end of a session must be asked for by its ID: the connection that would have told it is gone,
// with the shim that was at its other end, or that shim is one that closes it after the first answer.
var errNoAnswer = errors.New("the connection has ended")

// An answer is the end of an exec session, which comes over the connection that the session was begun by:
//
//	open ── the result ──► told: the shim has forgotten the session
//	  └─── the connection ends ──► lost: the result is asked for by the session's ID
//
// Safe for concurrent use.
type answer struct {
	conn wire.Conn
	turn chan struct{} // held by the one who reads

	// Of whoever has the turn.
	lost   bool
	result ExecResult

	told atomic.Bool
}

func newAnswer(conn wire.Conn) *answer { return &answer{conn: conn, turn: make(chan struct{}, 1)} }

// await returns the result, ctx's error, or errNoAnswer.
func (a *answer) await(ctx context.Context) (ExecResult, error) {
	if a == nil {
		return ExecResult{}, errNoAnswer
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ExecResult{}, fmt.Errorf("shim exec-wait: %w", context.Cause(ctx))
	}
	switch {
	case a.told.Load():
		return a.result, nil
	case a.lost:
		return ExecResult{}, errNoAnswer
	}
	if err := a.readable(ctx); err != nil {
		return ExecResult{}, err
	}
	_, err := receive(a.conn, &a.result)
	a.conn.Close()
	if err != nil {
		a.lost = true
		return ExecResult{}, errNoAnswer
	}
	a.told.Store(true)
	return a.result, nil
}

// readable waits for something to read, or the end of the connection. An answer that has not begun to be read stays
// whole for the next one who waits.
func (a *answer) readable(ctx context.Context) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = a.conn.SetReadDeadline(time.Unix(1, 0)) // fails where the connection has ended, which wakes too
		close(woken)
	})
	_ = a.conn.Readable() // what is wrong is said by the read that follows
	if stop() {
		return nil
	}
	<-woken
	_ = a.conn.SetReadDeadline(time.Time{})
	return fmt.Errorf("shim exec-wait: %w", context.Cause(ctx))
}

// close ends the connection, and reports whether the shim has forgotten the session already.
func (a *answer) close() (told bool) {
	if a == nil {
		return false
	}
	a.conn.Close()
	return a.told.Load()
}
