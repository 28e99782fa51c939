package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

var stdin = os.Stdin

func (e *env) attach() *cobra.Command {
	keys, noIn, proxy := detachKeys{}, false, true
	c := &cobra.Command{
		Use: "attach CONTAINER", Short: "Go to a container of `minato run`: its output, its input, its signals", Args: exactly(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(running),
		Long: `Follow a running container from now on; what it wrote before is in ` + "`minato logs`" + `. The input is passed on where it was
made with -i. Our signals are the container's: who only wants to look takes ` + "`minato logs -f`" + ` or --sig-proxy=false. From a
container with a terminal --detach-keys lead back. The exit code is the container's.`,
		Example: "  minato run -dit --name shell busybox sh\n  minato attach shell\n  minato attach --sig-proxy=false --no-stdin web",
		RunE: func(c *cobra.Command, args []string) error {
			if err := keys.parse(); err != nil {
				return err
			}
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				if !x.Running() {
					return fmt.Errorf("container %s does not run; `minato start -a %s` starts it", x.Spec.Name, x.Spec.Name)
				}
				if x.Spec.TTY && x.Spec.Interactive && !noIn && !isTerminal(stdin) {
					return exitError{2, errors.New("a container with a terminal needs one as standard input; look at it with --no-stdin")}
				}
				fg := &foreground{e: e, n: n, c: x, detach: keys.keys, signal: proxy, noIn: noIn, guest: true}
				code, err := fg.run(context.WithoutCancel(c.Context()), func(context.Context) error { return nil })
				if err == nil && code != 0 {
					err = exitError{code, nil}
				}
				return err
			})
		},
	}
	e.dataDir(c)
	keys.bind(c)
	c.Flags().BoolVar(&noIn, "no-stdin", false, "do not pass the standard input on")
	c.Flags().BoolVar(&proxy, "sig-proxy", true, "pass signals on; otherwise SIGINT and its like only end this command")
	return c
}
