package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
)

// readyPipe names the variable by which a host is told where to say that it answers, or why it does not.
const readyPipe = "MINATO_HOST_FD"

// host is what `minato run` and `minato image` start where no cluster serves the node. It ends by itself.
func (e *env) host() *cobra.Command {
	cfg := cluster.Config{}
	c := &cobra.Command{Use: "host", Hidden: true, Args: cobra.NoArgs, Short: "Serve images and containers until nobody needs it",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := settings(c, defaultConfigFile, false); err != nil {
				return err
			}
			cfg.DataDir, cfg.Version = e.data, e.version
			cfg.Log = slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelInfo}))
			pipe := os.NewFile(3, "ready")
			if os.Getenv(readyPipe) == "" {
				pipe = nil
			}
			err := cluster.Host(c.Context(), cfg, func() { say(pipe, "ready") })
			if err != nil {
				say(pipe, err.Error())
			}
			return err
		}}
	e.dataDir(c)
	c.Flags().StringVar(&cfg.Registries, "registries-dir", cluster.DefaultRegistries, "as of `minato up`")
	c.Flags().StringVar(&cfg.RegistriesFile, "registries-file", cluster.DefaultRegistriesFile, "as of `minato up`")
	return c
}

// say writes the host's one word and closes the pipe, so that whoever started it need not wait.
func say(pipe *os.File, text string) {
	if pipe != nil {
		_, _ = io.WriteString(pipe, text) // whoever started us may have gone
		_ = pipe.Close()
	}
}

// reachFor bounds how long a command waits for somebody to serve the node.
const reachFor = 30 * time.Second

// reach connects to the cluster on this machine, or to a host, which it starts where there is neither.
func (e *env) reach(ctx context.Context) (*cluster.Node, error) {
	data, err := filepath.Abs(e.data)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(reachFor); ; {
		n, err := cluster.Reach(ctx, data)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, cluster.ErrNobody) || time.Now().After(end) || ctx.Err() != nil {
			return nil, err
		}
		if !cluster.Served(data) {
			if err := e.startHost(ctx, data); err != nil {
				return nil, err
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// startHost starts a host and waits until it answers. That another process serves the node already is no error.
func (e *env) startHost(ctx context.Context, data string) error {
	if err := cluster.CheckDataDir(data); err != nil {
		return err
	}
	paths := cluster.Paths{Data: data}
	if err := os.MkdirAll(filepath.Dir(paths.HostLog()), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(paths.HostLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	self, err := os.Executable()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	c := exec.Command(self, "host", "--data-dir", data)
	c.Stdout, c.Stderr, c.ExtraFiles, c.Dir = log, log, []*os.File{w}, "/"
	c.Env = append(os.Environ(), readyPipe+"=3")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = c.Start()
	w.Close()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })()
	word, err := io.ReadAll(r)
	switch text := string(word); {
	case text == "ready" || strings.Contains(text, cluster.ErrRunning.Error()):
		return c.Process.Release()
	case err != nil:
		return err
	case text == "":
		return fmt.Errorf("the host of the containers ended at once; see %s", log.Name())
	default:
		return errors.New(text)
	}
}
