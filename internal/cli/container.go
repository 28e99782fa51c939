package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

// fresh reports whether nothing was ever done in the data directory, so that nothing has to be started to say so.
func (e *env) fresh() bool {
	_, err := cluster.ReadIdentity(e.data)
	return err != nil
}

func (e *env) containers(ctx context.Context) ([]container.Container, error) {
	if e.fresh() {
		return nil, nil
	}
	n, err := e.reach(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	return n.Engine.List(ctx)
}

// withContainer runs f with the container that the user named.
func (e *env) withContainer(ctx context.Context, ref string, f func(*cluster.Node, container.Container) error) error {
	if e.fresh() {
		return fmt.Errorf("%w: %s", container.ErrNotFound, ref)
	}
	n, err := e.reach(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	c, err := n.Engine.Find(ctx, ref)
	if err != nil {
		return err
	}
	return f(n, c)
}

func (e *env) stop() *cobra.Command {
	seconds := 10
	c := &cobra.Command{
		Use: "stop CONTAINER...", Short: "Stop containers of `minato run`", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(running),
		Long:              "Ask the containers to end, and kill them after a while. They keep their logs and files until `minato rm`.",
		Example:           "  minato stop web\n  minato stop -t 2 web worker",
		RunE: func(c *cobra.Command, args []string) error {
			return e.each(args, func(ref string) error {
				return e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					if err := n.Engine.Stop(c.Context(), x, time.Duration(seconds)*time.Second); err != nil {
						return err
					}
					if x.Spec.Remove && x.Spec.Detached {
						return n.Engine.Remove(c.Context(), x, true, true)
					}
					return nil
				})
			})
		},
	}
	e.dataDir(c)
	c.Flags().IntVarP(&seconds, "time", "t", seconds, "seconds to wait before it is killed")
	return c
}

func (e *env) rm() *cobra.Command {
	force, volumes := false, false
	c := &cobra.Command{
		Use: "rm CONTAINER...", Short: "Remove containers of `minato run`", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(nil),
		Long:              "Remove containers with their logs and what they wrote. Volumes with a name stay, see `minato volume`; -v takes those without one.",
		Example:           "  minato rm web\n  minato rm -v web\n  minato rm -f $(minato ps -aq)",
		RunE: func(c *cobra.Command, args []string) error {
			return e.each(args, func(ref string) error {
				return e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					return n.Engine.Remove(c.Context(), x, force, volumes)
				})
			})
		},
	}
	e.dataDir(c)
	c.Flags().BoolVarP(&force, "force", "f", false, "kill it if it runs")
	c.Flags().BoolVarP(&volumes, "volumes", "v", false, "also the volumes to which nobody gave a name")
	return c
}

// each does one thing with each name, and prints those with which it succeeded.
func (e *env) each(refs []string, f func(ref string) error) error {
	var errs []error
	for _, ref := range refs {
		if err := f(ref); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintln(e.out, ref)
	}
	return errors.Join(errs...)
}
