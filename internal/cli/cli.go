// Package cli is the command line, one file a verb.
//
// Main builds the tree of verbs from one list and runs it. Verbs write to the terminal, read flags, and hand over to
// package cluster; they decide nothing themselves. Exit codes: 0 done, 1 failed, 2 wrong use, 3 (status) not running.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// env is what every verb works with.
type env struct {
	version  string
	out, err io.Writer
	data     string // --data-dir
}

// exitError carries an exit code other than 1.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Main runs the command line and returns the exit code.
func Main(version string, args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	e := &env{version: version, out: out, err: errOut}
	root := e.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var coded exitError
	if !errors.As(err, &coded) {
		coded = exitError{1, err}
	}
	if msg := coded.Error(); msg != "" {
		fmt.Fprintln(errOut, "minato:", msg)
	}
	return coded.code
}

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "minato",
		Short: "Minato (港): a whole Kubernetes in one program",
		Long: `Minato (港, harbour) runs a whole Kubernetes cluster in one program: API server, etcd, controllers,
scheduler, kubelet, container runtime, pod network and DNS.`,
		Example: `  minato up --detach                        start a one-node cluster in the background
  minato kubectl get nodes                  the official kubectl, pointed at it
  minato image load nginx.tar               bring an image from a file
  minato run --rm -it busybox sh            one container, with or without a cluster
  minato status                             is it running, and how do I reach it
  minato down                               stop it and clean up`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exitError{2, fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	root.AddCommand(e.up(), e.down(), e.status(), e.token(), e.keys(), e.kubectl(), e.image(), e.run(), e.ps(), e.logs(), e.exec(), e.attach(), e.create(), e.start(), e.stop(), e.restart(), e.kill(), e.wait(), e.rm(), e.cp(), e.diff(), e.commit(),
		e.inspect(), e.port(), e.stats(), e.top(), e.volume(), e.host(), e.versionVerb())
	return root
}

// isTerminal reports whether w is one, for progress and colour.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
