package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

// foreground is a command that stays with its container: it passes streams, signals and the terminal's size on, and its
// exit code. It speaks to the shim, the container's parent, so that neither the start nor the end of a cluster disturbs it.
type foreground struct {
	e    *env
	n    *cluster.Node
	c    container.Container
	shim *shim.Client

	detach []byte // keys that leave the container alone
	signal bool   // our signals are the container's
	noIn   bool   // our input is not the container's
	guest  bool   // it was there before us: what it wrote before is nothing to us, and its removal the Keeper's

	ended chan struct{}           // closed when the container has ended
	in    *os.File                // our input on its way to the container, the same for a second attachment
	leave context.CancelCauseFunc // stops waiting for the container
}

// errDetached is the end of a command whose user has left the container alone.
var errDetached = errors.New("detached")

// run starts the container and returns its exit code; errDetached where the user left it before its end.
func (f *foreground) run(ctx context.Context, start func(context.Context) error) (code int, err error) {
	if f.shim, err = f.n.Shim(ctx); err != nil {
		if f.c.Spec.Remove {
			err = errors.Join(err, f.n.Engine.Remove(ctx, f.c, true, true))
		}
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	defer signal.Stop(signals)
	if err := start(ctx); err != nil {
		return 0, err
	}
	restore, err := f.raw()
	if err != nil {
		return 0, err
	}
	defer restore()
	var last container.Container
	f.ended = make(chan struct{})
	err = run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		written := make(chan struct{})
		waiting, leave := context.WithCancelCause(s.Context())
		defer leave(nil)
		f.leave = leave
		s.Go("streams", func(ctx context.Context) error { defer close(written); return f.streams(ctx) })
		s.Go("signals", func(ctx context.Context) error { return f.signals(ctx, signals) })
		last, err = f.wait(waiting)
		close(f.ended)
		if errors.Is(context.Cause(waiting), errDetached) {
			return errDetached
		}
		if err != nil {
			return err
		}
		select {
		case <-written:
		case <-s.Context().Done():
		}
		return nil
	})
	if errors.Is(err, container.ErrNotFound) {
		return exitKilled, nil
	}
	if errors.Is(err, errDown) {
		return 0, exitError{exitKilled, err}
	}
	if errors.Is(err, errDetached) {
		restore()
		fmt.Fprintf(f.e.err, "\ndetached from %s; `minato attach %s` returns to it\n", f.c.Spec.Name, f.c.Spec.Name)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if f.c.Spec.Remove && !f.guest {
		err = f.n.Engine.Remove(ctx, last, true, true)
	}
	if last.Reason == "OOMKilled" {
		fmt.Fprintln(f.e.err, "minato: the container had used up its memory and was killed")
	}
	return last.ExitCode, err
}

// errDown says that the node was taken down, with the container.
var errDown = errors.New("the node was taken down, and the container with it")

// wait outlives the one who serves the node: the next knows how the container ended.
func (f *foreground) wait(ctx context.Context) (container.Container, error) {
	for {
		c, err := f.n.Engine.Wait(ctx, f.c)
		if !container.Lost(err) || ctx.Err() != nil {
			return c, err
		}
		next, err := f.next(ctx)
		if err != nil {
			return c, err
		}
		f.n.Close()
		f.n = next
	}
}

// takeOver is how long somebody else may take to serve the node before a host is started: `minato down` and `minato up`
// are on their way by then.
const takeOver = time.Second

// next finds who serves the node after f.n. Where the node was taken down nobody must.
func (f *foreground) next(ctx context.Context) (*cluster.Node, error) {
	for since := time.Now(); ctx.Err() == nil; {
		n, err := cluster.Reach(ctx, f.e.data)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, cluster.ErrNobody):
			return nil, err
		case cluster.Served(f.e.data): // on its way up or down
		case f.n.Down():
			return nil, errDown
		case time.Since(since) > takeOver:
			return f.e.reach(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil, context.Cause(ctx)
}

// raw makes the user's terminal pass every key on.
func (f *foreground) raw() (restore func(), err error) {
	in := int(os.Stdin.Fd())
	if !f.c.Spec.TTY || !f.c.Spec.Interactive || f.noIn || !term.IsTerminal(in) {
		return func() {}, nil
	}
	old, err := term.MakeRaw(in)
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(in, old) }, nil
}

// streams copies until the container's output has ended. What was written before we could attach is in the log, whether
// the container has ended since or was too quick for what the shim keeps.
func (f *foreground) streams(ctx context.Context) error {
	f.resize(ctx)
	for {
		err := f.attach(ctx, true)
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case errors.Is(err, shim.ErrUnavailable):
			continue // the shim was replaced
		case errors.Is(err, shim.ErrMissed) && (f.c.Spec.TTY || f.guest):
			continue // from now on then: what went over a screen is gone
		case f.guest && errors.Is(err, shim.ErrNotFound):
			return nil
		case errors.Is(err, shim.ErrNotFound), errors.Is(err, shim.ErrMissed):
			return f.fromLog(ctx)
		}
		return err
	}
}

// attach passes our input on, and the container's output where that is wanted.
func (f *foreground) attach(ctx context.Context, output bool) error {
	return run.With(ctx, func(s *run.Scope) error {
		var io3 shim.Stdio
		for _, o := range []struct {
			theirs **os.File
			to     io.Writer
			want   bool
		}{{&io3.Out, f.e.out, output}, {&io3.Err, f.e.err, output && !f.c.Spec.TTY}} {
			if !o.want {
				continue
			}
			r, w, err := os.Pipe()
			if err != nil {
				return err
			}
			*o.theirs = w
			s.Go("output", func(context.Context) error { defer r.Close(); return copyAll(o.to, r) })
		}
		defer closeFiles(io3.Out, io3.Err)
		if f.c.Spec.Interactive && !f.noIn {
			if f.in == nil {
				r, w, err := os.Pipe()
				if err != nil {
					return err
				}
				f.in = r
				f.input(ctx, w)
			}
			io3.In = f.in
		}
		return f.shim.Attach(s.Context(), f.c.ID, io3)
	})
}

// copyAll copies until the container has closed its end; a reader of ours that has gone is no error of the container's.
func copyAll(to io.Writer, from *os.File) error {
	if _, err := io.Copy(to, from); errors.Is(err, syscall.EPIPE) {
		_, err = io.Copy(io.Discard, from)
		return err
	}
	return nil
}

// input copies our standard input to w. Nobody waits for it: a read of a terminal ends with the process.
func (f *foreground) input(ctx context.Context, w *os.File) {
	keys, leave := f.detach, f.leave
	if !f.c.Spec.TTY {
		keys = nil
	}
	run.NewScope(ctx).Go("input", func(context.Context) error {
		defer w.Close()
		if copyUntil(w, os.Stdin, keys) { // else the end of either side is the end of it
			leave(errDetached)
		}
		return nil
	})
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// fromLog writes the log from its beginning to the container's end, while input still goes to the container.
func (f *foreground) fromLog(ctx context.Context) error {
	return run.With(ctx, func(s *run.Scope) error {
		for stream, w := range map[string]io.Writer{"stdout": f.e.out, "stderr": f.e.err} {
			s.Go(stream, func(ctx context.Context) error {
				return cluster.Log(ctx, w, f.c.Log, cluster.LogOptions{Stream: stream}, f.ended)
			})
		}
		if f.c.Spec.Interactive && !f.noIn {
			s.Go("input", func(ctx context.Context) error {
				if err := f.attach(ctx, false); !errors.Is(err, shim.ErrNotFound) {
					return err
				}
				return nil
			})
		}
		return nil
	})
}

// signals passes on what we get. Whoever insists three times gets away without the container.
func (f *foreground) signals(ctx context.Context, signals <-chan os.Signal) error {
	for insisted := 0; ; {
		select {
		case s := <-signals:
			sig, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			if sig == syscall.SIGWINCH {
				f.resize(ctx)
				continue
			}
			if !f.signal {
				f.leave(errDetached)
				return nil
			}
			if err := f.shim.Signal(ctx, f.c.ID, sig, false); err != nil && !errors.Is(err, shim.ErrNotFound) {
				return err
			}
			if sig == syscall.SIGINT || sig == syscall.SIGTERM {
				if insisted++; insisted >= 3 {
					return exitError{exitInterrupt, fmt.Errorf("the container does not obey; it goes on as %s: see `minato ps`, `minato stop`", f.c.Spec.Name)}
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// resize gives the container's terminal the size of ours. A container that has ended has no terminal.
func (f *foreground) resize(ctx context.Context) {
	if !f.c.Spec.TTY {
		return
	}
	if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		_ = f.shim.Resize(ctx, f.c.ID, uint16(w), uint16(h))
	}
}
