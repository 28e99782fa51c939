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

// startFlags are the flags of `minato start`.
type startFlags struct {
	attach, interactive, policy bool
	detach                      detachKeys
}

func (e *env) start() *cobra.Command {
	f := startFlags{}
	c := &cobra.Command{
		Use: "start CONTAINER...", Short: "Start containers of `minato run` again", ValidArgsFunction: e.completeContainers(stopped),
		Long: `Run containers again that have ended or were never started. What they wrote, their volumes and their log go on, as
does their id; the address may be another one. One that runs stays as it is.
With --by-policy those are started that a reboot or ` + "`minato down`" + ` has ended and whose --restart is always or unless-stopped:
for the boot of a machine without a cluster. ` + "`minato up`" + ` does so by itself.`,
		Example: "  minato start web\n  minato start -ai shell\n  minato start --by-policy",
		Args: func(c *cobra.Command, args []string) error {
			if f.policy && len(args) == 0 {
				return nil
			}
			return atLeast(1, "CONTAINER")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			if f.policy {
				return e.startByPolicy(c.Context())
			}
			if f.attach || f.interactive {
				return e.startAttached(c.Context(), args[0], f)
			}
			return e.each(args, func(ref string) error {
				return e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					next, err := n.Engine.Again(c.Context(), x, false)
					return startOr(c.Context(), n, next, err)
				})
			})
		},
	}
	e.dataDir(c)
	c.Flags().BoolVarP(&f.attach, "attach", "a", false, "stay with it to its end, with its output and its exit code")
	c.Flags().BoolVarP(&f.interactive, "interactive", "i", false, "stay with it and pass the standard input on, where it was made with -i")
	c.Flags().BoolVar(&f.policy, "by-policy", false, "start those whose --restart wants it after a boot")
	f.detach.bind(c)
	return c
}

func (f *startFlags) check(args []string) error {
	switch {
	case f.policy && (len(args) > 0 || f.attach || f.interactive):
		return exitError{2, errors.New("--by-policy chooses the containers by itself, and stays with none")}
	case (f.attach || f.interactive) && len(args) != 1:
		return exitError{2, errors.New("--attach and --interactive are for one container")}
	}
	return f.detach.parse()
}

func (e *env) startByPolicy(ctx context.Context) error {
	if e.fresh() {
		return nil
	}
	n, err := e.reach(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	list, err := n.Engine.List(ctx)
	if err != nil {
		return err
	}
	var names []string
	byName := map[string]container.Container{}
	for _, x := range list {
		if n.Engine.WantedAfterBoot(x) {
			names = append(names, x.Spec.Name)
			byName[x.Spec.Name] = x
		}
	}
	return e.each(names, func(name string) error {
		_, err := n.Engine.Again(ctx, byName[name], false)
		return err
	})
}

// startAttached starts one container and stays with it.
func (e *env) startAttached(ctx context.Context, ref string, f startFlags) error {
	return e.withContainer(ctx, ref, func(n *cluster.Node, x container.Container) error {
		if x.Running() {
			return fmt.Errorf("container %s runs already; `minato attach %s` goes to it", x.Spec.Name, x.Spec.Name)
		}
		if f.interactive && x.Spec.TTY && x.Spec.Interactive && !isTerminal(stdin) {
			return exitError{2, errors.New("a container with a terminal needs one as standard input; leave -i away")}
		}
		fg := &foreground{e: e, n: n, c: x, detach: f.detach.keys, signal: true, noIn: !f.interactive}
		code, err := fg.run(context.WithoutCancel(ctx), func(ctx context.Context) error {
			next, err := n.Engine.Again(ctx, x, true)
			if err == nil {
				fg.c = next
			}
			return startOr(ctx, n, next, err)
		})
		if err == nil && code != 0 {
			err = exitError{code, nil}
		}
		return err
	})
}

func (e *env) restart() *cobra.Command {
	seconds := 10
	c := &cobra.Command{
		Use: "restart CONTAINER...", Short: "Stop and start containers of `minato run`", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(nil),
		Example:           "  minato restart web\n  minato restart -t 0 web",
		RunE: func(c *cobra.Command, args []string) error {
			return e.each(args, func(ref string) error {
				return e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					if x.Spec.Remove {
						return fmt.Errorf("container %s was made with --rm: its end removes it; `minato run` makes another", x.Spec.Name)
					}
					if err := n.Engine.Stop(c.Context(), x, time.Duration(seconds)*time.Second); err != nil {
						return err
					}
					next, err := n.Engine.Again(c.Context(), x, false)
					return startOr(c.Context(), n, next, err)
				})
			})
		},
	}
	e.dataDir(c)
	c.Flags().IntVarP(&seconds, "time", "t", seconds, "seconds to wait before it is killed")
	return c
}
