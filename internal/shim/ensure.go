package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/hierarchy"
	"minato.dev/minato/internal/shim/wire"
)

// ensureFor bounds how long Ensure waits for a shim to answer.
const ensureFor = 20 * time.Second

// Ensure connects to the shim of cfg.RunDir and starts keeper and shim, detached from the caller, if none runs. It may
// be called by several processes at once; one pair is started.
func Ensure(ctx context.Context, cfg Config) (*Client, error) {
	if !filepath.IsAbs(cfg.Binary) || !filepath.IsAbs(cfg.RunDir) || len(cfg.RunDir) >= 80 {
		return nil, fmt.Errorf("shim: binary %q and run directory %q must be absolute paths, the latter under 80 bytes: %w",
			cfg.Binary, cfg.RunDir, ErrInvalid)
	}
	if err := enterRoom(cfg.RunDir); err != nil {
		return nil, fmt.Errorf("shim: %w", err)
	}
	c := &Client{cfg: cfg}
	deadline := time.Now().Add(ensureFor)
	launched := false
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		var info Info
		_, err := c.once(ctx, wire.Call{Op: "info"}, &info, nil)
		switch {
		case err == nil:
			if launched && cfg.Log != nil {
				cfg.Log.Info("started the shim", "pid", info.Pid, "keeper", info.KeeperPid, "version", info.Version)
			}
			return c, nil
		case time.Now().After(deadline):
			return nil, fmt.Errorf("shim: %w: %w; see %s", ErrUnavailable, err, filepath.Join(cfg.RunDir, logName))
		case nobodyListens(err) && !launched:
			if err := c.launch(ctx); err != nil {
				return nil, err
			}
			launched = true
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("shim: %w", err)
		}
	}
}

const logName = "shim.log"

func nobodyListens(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT)
}

// launch starts the keeper in a session of its own. It is this process's child until this process ends, so it is waited
// for by whoever reaps: the launcher returns at once only where another keeper already holds the run directory.
func (c *Client) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(c.cfg.RunDir, logName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("shim: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.cfg.Binary, "launch", c.cfg.RunDir, c.cfg.Cgroup)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("shim: start %s: %w; see %s", c.cfg.Binary, err, log.Name())
	}
	return nil
}

// Upgrade replaces the running shim by the binary at path, in place, after that binary has passed its self-test. No
// container, log line, exit status or exec session is disturbed; attachments and event streams break and are renewed.
func (c *Client) Upgrade(ctx context.Context, path string) error {
	before, err := c.Info(ctx)
	if err != nil {
		return err
	}
	body := []byte(fmt.Sprintf(`{"path":%q}`, path))
	_, err = c.once(ctx, wire.Call{Op: "upgrade", Body: body}, nil, nil)
	var remote *remoteError
	if errors.As(err, &remote) {
		return err
	}
	// No answer is the good answer: the connection ended with the old program.
	after, err := c.Info(ctx)
	switch {
	case err != nil:
		return err
	case after.Upgrades <= before.Upgrades:
		return fmt.Errorf("shim upgrade to %s: the new program did not stay; the old one is back: %w", path, ErrUnavailable)
	}
	return nil
}

// Shutdown stops shim and keeper, waits for their end and removes their cgroup and run directory. It fails with ErrBusy
// while containers remain.
func (c *Client) Shutdown(ctx context.Context) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	keeper, err := unix.PidfdOpen(info.KeeperPid, 0)
	if err != nil {
		return fmt.Errorf("shim shutdown: keeper: %w", err)
	}
	defer unix.Close(keeper)
	if err := c.call(ctx, "shutdown", "", nil, nil); err != nil {
		return err
	}
	if err := waitEnd(ctx, keeper); err != nil {
		return fmt.Errorf("shim shutdown: %w", err)
	}
	if c.cfg.Cgroup != "" {
		for _, dir := range hierarchy.Dirs(c.cfg.Cgroup) {
			if err := hierarchy.Remove(dir); err != nil {
				return fmt.Errorf("shim shutdown: %w", err)
			}
		}
	}
	if err := leaveRoom(c.cfg.RunDir); err != nil {
		return fmt.Errorf("shim shutdown: %w", err)
	}
	return nil
}

// waitEnd waits for a process to end, in short turns that let ctx end the wait.
func waitEnd(ctx context.Context, pidfd int) error {
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 100)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
	return context.Cause(ctx)
}
