package image

import (
	"context"
	"errors"
	"sync"

	"minato.dev/minato/internal/run"
)

// flights lets everybody who asks for the same thing at the same time share the work. The work ends early only when
// the last one who waits for it gives up.
type flights[T any] struct {
	mu sync.Mutex
	m  map[string]*flight[T]
}

type flight[T any] struct {
	scope   *run.Scope
	waiters int
	done    chan struct{}
	value   T
	err     error
}

// do returns what work returned, for this caller's or for an earlier one's call. Where the work was given up with
// another caller, it starts again for this one.
func (f *flights[T]) do(ctx context.Context, key string, work func(ctx context.Context) (T, error)) (T, error) {
	for {
		v, err := f.join(ctx, key, work)
		if !errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return v, err
		}
	}
}

func (f *flights[T]) join(ctx context.Context, key string, work func(ctx context.Context) (T, error)) (T, error) {
	fl := f.enter(ctx, key, work)
	var err error
	select {
	case <-fl.done:
		err = fl.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if f.leave(key, fl) {
		fl.scope.Stop()
		if e := fl.scope.Wait(); e != nil {
			err = e
		}
	}
	if err != nil {
		var none T
		return none, err
	}
	return fl.value, nil
}

func (f *flights[T]) enter(ctx context.Context, key string, work func(ctx context.Context) (T, error)) *flight[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.m[key]; fl != nil {
		fl.waiters++
		return fl
	}
	fl := &flight[T]{scope: run.NewScope(context.WithoutCancel(ctx)), waiters: 1, done: make(chan struct{})}
	if f.m == nil {
		f.m = map[string]*flight[T]{}
	}
	f.m[key] = fl
	fl.scope.Go(key, func(ctx context.Context) error {
		defer close(fl.done)
		fl.err = errors.New("the work panicked")
		fl.value, fl.err = work(ctx)
		return nil
	})
	return fl
}

// leave takes one waiter off and reports whether it was the last. A flight that is over or given up is closed to
// newcomers.
func (f *flights[T]) leave(key string, fl *flight[T]) (last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.waiters--
	over := fl.waiters == 0
	select {
	case <-fl.done:
		over = true
	default:
	}
	if over && f.m[key] == fl {
		delete(f.m, key)
	}
	return fl.waiters == 0
}

// fans tell the progress of one shared pull to everybody who waits for it.
type fans struct {
	mu sync.Mutex
	m  map[string]map[*func(Progress)]bool
}

// join adds to, which may be nil, until the returned function is called.
func (f *fans) join(key string, to func(Progress)) (leave func()) {
	if to == nil {
		return func() {}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[string]map[*func(Progress)]bool{}
	}
	if f.m[key] == nil {
		f.m[key] = map[*func(Progress)]bool{}
	}
	f.m[key][&to] = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if delete(f.m[key], &to); len(f.m[key]) == 0 {
			delete(f.m, key)
		}
	}
}

func (f *fans) tell(key string, p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for to := range f.m[key] {
		(*to)(p)
	}
}
