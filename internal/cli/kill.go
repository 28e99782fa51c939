package cli

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func (e *env) kill() *cobra.Command {
	name := "KILL"
	c := &cobra.Command{
		Use: "kill CONTAINER...", Short: "Send containers of `minato run` a signal", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(running),
		Example:           "  minato kill web\n  minato kill -s HUP web",
		RunE: func(c *cobra.Command, args []string) error {
			sig, err := signalOf(name)
			if err != nil {
				return err
			}
			return e.each(args, func(ref string) error {
				return e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					if !x.Running() {
						return fmt.Errorf("container %s does not run", x.Spec.Name)
					}
					if sig == syscall.SIGKILL || sig == syscall.SIGTERM { // meant as its end: no policy starts it again
						if err := n.Engine.MarkStopped(x); err != nil {
							return err
						}
					}
					sh, err := n.Shim(c.Context())
					if err != nil {
						return err
					}
					return sh.Signal(c.Context(), x.ID, sig, false)
				})
			})
		},
	}
	e.dataDir(c)
	c.Flags().StringVarP(&name, "signal", "s", name, "name or number, for example HUP")
	return c
}

// signalOf reads HUP, SIGHUP and 1.
func signalOf(name string) (syscall.Signal, error) {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")); s != 0 {
		return s, nil
	}
	return 0, exitError{2, fmt.Errorf("--signal %q: must be a name like HUP or a number from 1 to 64", name)}
}

func (e *env) wait() *cobra.Command {
	c := &cobra.Command{
		Use: "wait CONTAINER...", Short: "Wait for the end of containers of `minato run` and print their exit codes", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(running),
		Example:           "  minato wait worker",
		RunE: func(c *cobra.Command, args []string) error {
			for _, ref := range args {
				err := e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					f := &foreground{e: e, n: n, c: x}
					last, err := f.wait(c.Context())
					if err == nil {
						fmt.Fprintln(e.out, last.ExitCode)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	e.dataDir(c)
	return c
}
