package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A step is one thing in the kernel or on disk that an object of type T has. do looks first and makes only what is
// missing, so it can be repeated; undo can be called without do. Both may set fields of the record that they are given.
type step[T any] struct {
	name string
	do   func(s *Server, ctx context.Context, rec *T) error
	undo func(s *Server, ctx context.Context, rec *T) error
	// early steps are undone when the object stops, the others only when it is removed.
	early bool
}

// up takes the steps in their order and stops at the first that fails; what has been done stays for down.
func up[T any](s *Server, ctx context.Context, steps []step[T], rec *T) error {
	for _, st := range steps {
		if err := s.reach("before " + st.name); err != nil {
			return err
		}
		if st.do == nil {
			continue
		}
		if err := st.do(s, ctx, rec); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return s.reach("after the last step")
}

// down undoes the steps in reverse order, all or only the early ones. It goes on after a failure, so that one stuck
// thing holds back nothing else, and returns all failures.
func down[T any](s *Server, ctx context.Context, steps []step[T], rec *T, all bool) error {
	var failed []error
	for _, st := range slices.Backward(steps) {
		if st.undo == nil || !all && !st.early {
			continue
		}
		if err := s.reach("undo " + st.name); err != nil {
			return err
		}
		if err := st.undo(s, ctx, rec); err != nil {
			failed = append(failed, fmt.Errorf("undo %s: %w", st.name, err))
		}
	}
	return errors.Join(failed...)
}
