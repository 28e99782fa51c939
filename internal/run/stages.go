package run

import (
	"context"
	"fmt"
)

// A Stage is one part of a program. Run calls ready once when the next stage may start and returns after its own
// children have ended.
type Stage struct {
	Name string
	Run  func(ctx context.Context, ready func()) error
}

// Stages starts the stages in order, each after its predecessor called ready, and waits. When ctx ends or a stage
// returns, all are stopped in reverse order, each only after its successor has returned. The first failure is returned.
// onReady, which may be nil, is told each stage that became ready.
func Stages(ctx context.Context, stages []Stage, onReady func(name string)) error {
	return stage(ctx, stages, onReady)
}

// stage runs the first stage around the rest, which gives the reverse order of stopping by nesting.
func stage(ctx context.Context, stages []Stage, onReady func(string)) error {
	if len(stages) == 0 {
		<-ctx.Done()
		return nil
	}
	first, rest := stages[0], stages[1:]
	own := NewScope(context.WithoutCancel(ctx))
	ready := make(chan struct{})
	ended := make(chan struct{})
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	own.Go(first.Name, func(c context.Context) error {
		defer close(ended)
		defer cancel()
		return first.Run(c, func() { close(ready) })
	})
	var err error
	select {
	case <-ready:
		if onReady != nil {
			onReady(first.Name)
		}
		err = stage(inner, rest, onReady)
	case <-ended:
	case <-ctx.Done():
	}
	own.Stop()
	if e := own.Wait(); e != nil {
		return e
	}
	if err == nil && ctx.Err() == nil {
		select {
		case <-ready:
		default:
			err = fmt.Errorf("%s: ended before it was ready", first.Name)
		}
	}
	return err
}
