package kit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/moby/buildkit/client"

	"minato.dev/minato/internal/run"
)

// collect keeps the cache within its bound after a build. What was used last goes last.
func (e *engine) collect(ctx context.Context, keep int64) error {
	if keep <= 0 {
		return nil
	}
	_, err := e.free(ctx, client.WithKeepOpt(0, 0, keep, 0))
	return err
}

// prune frees what goes beyond keep bytes and says how much that was.
func (e *engine) prune(ctx context.Context, keep int64, out io.Writer) error {
	opts := []client.PruneOption{client.PruneAll}
	if keep > 0 {
		opts = append(opts, client.WithKeepOpt(0, 0, keep, 0))
	}
	freed, err := e.free(ctx, opts...)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "freed %.1f MB of the build cache\n", float64(freed)/1e6)
	return nil
}

// free prunes and counts what went.
func (e *engine) free(ctx context.Context, opts ...client.PruneOption) (freed int64, err error) {
	gone := make(chan client.UsageInfo)
	err = run.With(ctx, func(s *run.Scope) error {
		s.Go("count", func(context.Context) error {
			for u := range gone {
				freed += u.Size
			}
			return nil
		})
		defer close(gone)
		return e.client.Prune(s.Context(), gone, opts...)
	})
	if err != nil {
		err = fmt.Errorf("prune the build cache: %w", err)
	}
	return freed, errors.Join(err, context.Cause(ctx))
}
