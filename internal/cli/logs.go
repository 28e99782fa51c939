package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/run"
)

func (e *env) logs() *cobra.Command {
	follow, o, tail := false, cluster.LogOptions{}, int64(-1)
	c := &cobra.Command{
		Use: "logs CONTAINER", Short: "Show what a container of `minato run` has written", Args: exactly(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(nil),
		Example:           "  minato logs web\n  minato logs -f --tail 10 web",
		RunE: func(c *cobra.Command, args []string) error {
			if tail >= 0 {
				o.Tail = &tail
			} else if tail < -1 {
				return exitError{2, fmt.Errorf("--tail %d: must not be negative", tail)}
			}
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				return e.showLogs(c.Context(), n, x, o, follow)
			})
		},
	}
	e.dataDir(c)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the container ends")
	c.Flags().BoolVarP(&o.Timestamps, "timestamps", "t", false, "begin each line with its time")
	c.Flags().Int64Var(&tail, "tail", -1, "only the last lines")
	return c
}

// showLogs writes both streams, each to its own of ours.
func (e *env) showLogs(ctx context.Context, n *cluster.Node, c container.Container, o cluster.LogOptions, follow bool) error {
	ended := make(chan struct{})
	if !follow || !c.Running() {
		close(ended)
	}
	return run.With(ctx, func(s *run.Scope) error {
		for stream, w := range map[string]io.Writer{"stdout": e.out, "stderr": e.err} {
			own := o
			own.Stream = stream
			s.Go(stream, func(ctx context.Context) error { return cluster.Log(ctx, w, c.Log, own, ended) })
		}
		if !follow || !c.Running() {
			return nil
		}
		f := &foreground{e: e, n: n, c: c}
		_, err := f.wait(s.Context())
		close(ended)
		if ctx.Err() != nil || container.IsGone(err) || errors.Is(err, errDown) {
			return nil
		}
		return err
	})
}
