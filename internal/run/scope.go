// Package run owns the goroutines of the program: every goroutine has a parent that outlives it and one way to end.
//
// A Scope is a block whose goroutines have all ended when With returns; Stages starts the parts of a program in order
// and stops them in the reverse order. Other rooms start goroutines only through this package (held by internal/lint),
// so a leak or a forgotten stop is a bug in one place. All methods are safe for concurrent use.
package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Scope owns goroutines. The first one that fails cancels its siblings.
type Scope struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
	err    error

	mu      sync.Mutex
	running int
	ended   bool          // Wait has seen the last goroutine end: there is no block any more that could own another
	left    chan struct{} // for those in Wait; closed when none runs
}

// With runs body in a new Scope under ctx, then waits for all goroutines that it started. Leaving body does not cancel
// them; body calls Stop for that, or returns an error. It returns the first error, or nil where the only reason to
// end was ctx or Stop.
func With(ctx context.Context, body func(s *Scope) error) error {
	s := NewScope(ctx)
	if err := s.guard("", func(context.Context) error { return body(s) }); err != nil {
		s.fail(err)
	}
	return s.Wait()
}

// NewScope returns an open Scope under ctx for an owner whose life is no single block; the owner must call Wait.
func NewScope(ctx context.Context) *Scope {
	s := &Scope{}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// Context is cancelled when a goroutine of the Scope fails, Stop is called or the parent context ends.
func (s *Scope) Context() context.Context { return s.ctx }

// Go starts f. An error other than the context's own end fails the Scope; a panic is turned into such an error. Once
// Wait has returned the Scope is over, its context is cancelled and f is not called: whoever hears of something late
// (a watcher that is told while its owner leaves) need not know.
func (s *Scope) Go(name string, f func(ctx context.Context) error) {
	if !s.enter() {
		return
	}
	go func() {
		defer s.leave()
		if err := s.guard(name, f); err != nil {
			s.fail(err)
		}
	}()
}

func (s *Scope) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.running++
	return true
}

func (s *Scope) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 && s.left != nil {
		s.ended = true
		close(s.left)
		s.left = nil
	}
}

// Stop cancels the Scope's context without an error; Wait still waits for every goroutine.
func (s *Scope) Stop() { s.cancel(context.Canceled) }

// Wait blocks until all goroutines have ended and returns the first failure.
func (s *Scope) Wait() error {
	if left := s.awaitNone(); left != nil {
		<-left
	}
	s.cancel(context.Canceled)
	s.mu.Lock() // what the last one wrote
	defer s.mu.Unlock()
	return s.err
}

// awaitNone returns what is closed when the last goroutine ends, nil where none runs.
func (s *Scope) awaitNone() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == 0 {
		s.ended = true
		return nil
	}
	if s.left == nil {
		s.left = make(chan struct{})
	}
	return s.left
}

func (s *Scope) fail(err error) {
	s.once.Do(func() { s.err = err; s.cancel(err) })
}

// guard runs f, names its error and swallows the error that only says that the context ended.
func (s *Scope) guard(name string, f func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, p, debug.Stack())
		}
	}()
	err = f(s.ctx)
	if err == nil || s.ctx.Err() != nil && errors.Is(err, s.ctx.Err()) {
		return nil
	}
	if name == "" { // With's body: its caller knows what it is
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
