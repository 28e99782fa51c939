package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

type execFlags struct {
	interactive, tty bool
	env              []string
	dir, user        string
}

func (e *env) exec() *cobra.Command {
	f := execFlags{}
	c := &cobra.Command{
		Use: "exec [flags] CONTAINER COMMAND [ARG...]", Short: "Run a command in a container of `minato run`", Args: atLeast(2, "CONTAINER or COMMAND"),
		Long:              "Run a command in a container that runs. The exit code is the command's.",
		ValidArgsFunction: completeFirst(e.completeContainers(running)),
		Example:           "  minato exec -u www-data web id\n  minato exec web ls /\n  minato exec -it web sh",
		RunE: func(c *cobra.Command, args []string) error {
			if f.tty && f.interactive && !isTerminal(os.Stdin) {
				return exitError{2, errors.New("--tty with --interactive needs a terminal as standard input; leave --tty away")}
			}
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				return e.execIn(context.WithoutCancel(c.Context()), n, x, args[1:], f)
			})
		},
	}
	e.dataDir(c)
	fl := c.Flags()
	fl.SetInterspersed(false)
	fl.BoolVarP(&f.interactive, "interactive", "i", false, "pass the standard input on")
	fl.BoolVarP(&f.tty, "tty", "t", false, "give it a terminal")
	fl.StringArrayVarP(&f.env, "env", "e", nil, "variable: NAME=VALUE")
	fl.StringVarP(&f.dir, "workdir", "w", "", "working directory")
	fl.StringVarP(&f.user, "user", "u", "", "user: USER[:GROUP], names or numbers")
	return c
}

func (e *env) execIn(ctx context.Context, n *cluster.Node, c container.Container, args []string, f execFlags) error {
	if !c.Running() {
		return fmt.Errorf("container %s does not run", c.Spec.Name)
	}
	r, err := f.request(ctx, n, c, args)
	if err != nil {
		return err
	}
	sh, err := n.Shim(ctx)
	if err != nil {
		return err
	}
	var streams shim.Stdio
	if !f.tty {
		streams = shim.Stdio{Out: file(e.out), Err: file(e.err)}
		if f.interactive {
			streams.In = os.Stdin
		}
	}
	x, err := sh.Exec(ctx, c.ID, r, streams)
	if errors.Is(err, shim.ErrCreate) {
		return exitError{exitNotRun, err}
	}
	if err != nil {
		return err
	}
	defer x.Close(ctx)
	res, err := e.sit(ctx, x, f)
	if err == nil && res.ExitCode != 0 {
		err = exitError{res.ExitCode, nil}
	}
	return err
}

// file is w where that is a file, which the command then writes to by itself.
func file(w io.Writer) *os.File {
	f, _ := w.(*os.File)
	return f
}

// request completes what the user says with what the container is.
func (f execFlags) request(ctx context.Context, n *cluster.Node, c container.Container, args []string) (r shim.ExecRequest, err error) {
	r = shim.ExecRequest{Args: args, Cwd: f.dir, TTY: f.tty}
	if f.tty {
		if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			r.Width, r.Height = uint16(w), uint16(h)
		}
	}
	if len(f.env) > 0 {
		raw, err := os.ReadFile(filepath.Join(n.Runs, "containers", c.ID, "config.json"))
		if err != nil {
			return r, err
		}
		var oci specs.Spec
		if err := json.Unmarshal(raw, &oci); err != nil {
			return r, err
		}
		r.Env = append(oci.Process.Env, f.env...)
	}
	if f.user != "" {
		uid, gid, groups, err := n.User(ctx, c, f.user)
		if err != nil {
			return r, fmt.Errorf("--user: %w", err)
		}
		r.User = &shim.User{UID: uid, GID: gid, AdditionalGids: groups}
	}
	return r, nil
}

// sit stays with the command to its end and passes signals, and a terminal's keys and size, on.
func (e *env) sit(ctx context.Context, x *shim.Exec, f execFlags) (res shim.ExecResult, err error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGWINCH)
	defer signal.Stop(signals)
	if in := int(os.Stdin.Fd()); f.tty && f.interactive {
		old, err := term.MakeRaw(in)
		if err != nil {
			return res, err
		}
		defer func() { _ = term.Restore(in, old) }()
	}
	err = run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		drained := make(chan struct{})
		if console := x.Console(); console != nil {
			s.Go("output", func(context.Context) error {
				defer close(drained)
				_, _ = io.Copy(e.out, console) // it ends with EIO when the last process has closed the terminal
				return nil
			})
			if f.interactive {
				run.NewScope(ctx).Go("input", func(context.Context) error {
					_, _ = io.Copy(console, os.Stdin) // the end of either side is the end of it
					return nil
				})
			}
		} else {
			close(drained)
		}
		s.Go("signals", func(ctx context.Context) error { return passSignals(ctx, x, signals) })
		if res, err = x.Wait(ctx); err != nil {
			return err
		}
		select {
		case <-drained:
		case <-time.After(lastWords): // something that the command left behind holds the terminal
			x.Console().Close()
		}
		return nil
	})
	return res, err
}

// lastWords is how long output is waited for after a command with a terminal has ended.
const lastWords = time.Second

func passSignals(ctx context.Context, x *shim.Exec, signals <-chan os.Signal) error {
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGWINCH {
				if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil && x.Console() != nil {
					_ = x.Resize(uint16(w), uint16(h)) // the command may have ended
				}
			} else if sig, ok := s.(syscall.Signal); ok {
				if err := x.Kill(ctx, sig); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}
