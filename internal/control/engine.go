// Package control is the controller engine: it owns every controller's queue, workers, back-off and lifetime.
//
// A controller is data: what wakes it (Sources), what it writes (Writes; two controllers that write the same thing are
// refused at start), and a level-triggered Reconcile. Reconcile reads from views and writes through the client; it is
// never called twice at once for the same key. Rooms under internal/controllers, and the scheduler where it fits, give
// their list of controllers to Run. To test a controller, call its Reconcile, or Run it against the real API server
// on the memory store.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// Result says when to look at the key again although nothing has changed; zero: never.
type Result struct{ After time.Duration }

// Controller is one loop.
type Controller struct {
	Name      string
	Workers   int      // at once; 0 means 1
	Sources   []Source // what wakes it
	Writes    []string // "resource.group" or "resource.group/subresource[:aspect]", for the check of double writers
	Reconcile func(ctx context.Context, key Key) (Result, error)
	// Run, where set, runs beside the workers for controllers that also need a loop of their own.
	Run func(ctx context.Context) error
}

// Source wakes a controller.
type Source struct {
	sync      func(ctx context.Context) error
	subscribe func(add func(Key))
}

// On wakes the controller for the keys that f derives from each change of v. f gets the same arguments as
// client.View.OnChange: the zero T stands for "was not there" and "is no longer there".
func On[T client.Object](v *client.View[T], f func(old, new T) []Key) Source {
	return Source{sync: v.WaitSynced, subscribe: func(add func(Key)) {
		v.OnChange(func(old, new T) {
			for _, k := range f(old, new) {
				add(k)
			}
		})
	}}
}

// Self wakes the controller for the changed object itself.
func Self[T client.Object](v *client.View[T]) Source {
	return On(v, func(old, new T) []Key {
		var none T
		if any(new) == any(none) {
			new = old
		}
		return []Key{{new.GetNamespace(), new.GetName()}}
	})
}

// Needs makes the controller wait for v before its first Reconcile, without waking on its changes.
func Needs[T client.Object](v *client.View[T]) Source {
	return Source{sync: v.WaitSynced, subscribe: func(func(Key)) {}}
}

// Run runs the controllers until ctx ends. It refuses two writers of one thing.
func Run(ctx context.Context, log *slog.Logger, controllers []Controller) error {
	return runAll(ctx, log, controllers, nil)
}

func runAll(ctx context.Context, log *slog.Logger, controllers []Controller, m *Metrics) error {
	if err := checkWriters(controllers); err != nil {
		return err
	}
	return run.With(ctx, func(s *run.Scope) error {
		for _, c := range controllers {
			s.Go("controller "+c.Name, func(ctx context.Context) error { return c.run(ctx, log.With("controller", c.Name), m) })
		}
		return nil
	})
}

func checkWriters(controllers []Controller) error {
	owner := map[string]string{}
	for _, c := range controllers {
		for _, w := range c.Writes {
			if other, taken := owner[w]; taken {
				return fmt.Errorf("controllers %s and %s both write %s", other, c.Name, w)
			}
			owner[w] = c.Name
		}
	}
	return nil
}

func (c Controller) run(ctx context.Context, log *slog.Logger, m *Metrics) error {
	q := newQueue()
	m.follow(c.Name, q)
	defer q.stop()
	for _, s := range c.Sources {
		if err := s.sync(ctx); err != nil {
			return err
		}
	}
	for _, s := range c.Sources {
		s.subscribe(q.add)
	}
	return run.With(ctx, func(s *run.Scope) error {
		if c.Run != nil {
			s.Go("loop", c.Run)
		}
		for range max(c.Workers, 1) {
			s.Go("worker", func(ctx context.Context) error { return c.work(ctx, q, log) })
		}
		return nil
	})
}

func (c Controller) work(ctx context.Context, q *queue, log *slog.Logger) error {
	for {
		k, ok := q.get(ctx)
		if !ok {
			return nil
		}
		res, err := c.reconcile(ctx, k)
		q.done(k)
		switch {
		case err != nil && ctx.Err() == nil:
			wait := q.failed(k)
			level := slog.LevelWarn
			if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
				level = slog.LevelDebug
			}
			log.Log(ctx, level, "reconcile failed, will try again", "key", k.String(), "err", err, "after", wait)
			q.addAfter(k, wait)
		case res.After > 0:
			q.succeeded(k)
			q.addAfter(k, res.After)
		default:
			q.succeeded(k)
		}
	}
}

// reconcile turns a panic of one controller into an error of one key.
func (c Controller) reconcile(ctx context.Context, k Key) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Reconcile(ctx, k)
}

// Custom makes a Source of a controller's own: start blocks until its first state is in, subscribe then delivers keys.
func Custom(start func(ctx context.Context) error, subscribe func(add func(Key))) Source {
	return Source{sync: start, subscribe: subscribe}
}
