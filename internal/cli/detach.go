package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/internal/cluster"
)

// phasePipe names the variable by which the background process is told where to write its phases.
const phasePipe = "MINATO_PHASES_FD"

func writePhase(w io.Writer, p cluster.Phase) {
	_ = json.NewEncoder(w).Encode(p) // whoever started us may have stopped listening
}

// detach starts the same command in a session of its own, shows its phases and returns when it is ready.
func (e *env) detach(ctx context.Context, cfg cluster.Config, f *upFlags) error {
	if pid, err := cluster.Running(cfg.DataDir); err != nil {
		return err
	} else if pid != 0 {
		return fmt.Errorf("%w (process %d); see `minato status`", cluster.ErrRunning, pid)
	}
	if err := cluster.CheckDataDir(cfg.DataDir); err != nil {
		return err
	}
	paths := cluster.Paths{Data: cfg.DataDir}
	if err := os.MkdirAll(filepath.Dir(paths.Log()), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(paths.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer log.Close()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	phases, pid, err := spawn(cfg, f, log)
	if err != nil {
		return err
	}
	defer phases.Close()
	last, err := e.follow(ctx, phases, f.wait)
	if err != nil {
		return fmt.Errorf("%w; its log is %s", err, paths.Log())
	}
	if !last.Ready {
		return fmt.Errorf("the cluster ended before it was ready:\n%s\nThe whole log is %s", tail(paths.Log(), start, 12), paths.Log())
	}
	e.welcome(cfg, f.merge, last.After)
	fmt.Fprintf(e.out, "It runs as process %d and logs to %s; `%s` stops it.\n", pid, paths.Log(), downCommand(cfg.DataDir))
	return nil
}

// downCommand is what a user types to stop the cluster in data.
func downCommand(data string) string {
	if data == defaultDataDir() {
		return "minato down"
	}
	return "minato down --data-dir " + data
}

func spawn(cfg cluster.Config, f *upFlags, log *os.File) (phases *os.File, pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer w.Close()
	args := []string{"up", "--detach=false", "--data-dir", cfg.DataDir, "--port", fmt.Sprint(cfg.Port), "--bind-address", cfg.BindAddress,
		"--log-level", f.logLevel, "--merge-kubeconfig=false", "--node-name", cfg.NodeName, "--node-monitor-grace-period", cfg.NodeGrace.String()}
	for flag, v := range map[string]string{"--node-ip": cfg.NodeIP, "--join": cfg.Join, "--pod-cidr": cfg.PodCIDR, "--service-cidr": cfg.ServiceCIDR, "--context": cfg.Context, "--registries-dir": cfg.Registries,
		"--registries-file": cfg.RegistriesFile, "--image-credential-provider-config": cfg.CredentialConfig, "--image-credential-provider-bin-dir": cfg.CredentialDir,
		"--runtime-handlers": cfg.RuntimeHandlers, "--kubelet": cfg.Kubelet} {
		if v != "" {
			args = append(args, flag, v)
		}
	}
	c := exec.Command(self, args...)
	c.Stdout, c.Stderr = log, log
	c.ExtraFiles = []*os.File{w}
	c.Env = append(os.Environ(), phasePipe+"=3")
	if cfg.Token != "" {
		c.Env = append(c.Env, tokenVariable+"="+cfg.Token)
	}
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		r.Close()
		return nil, 0, err
	}
	pid = c.Process.Pid
	return r, pid, c.Process.Release()
}

// follow shows phases until the cluster is ready, its process has ended, or time is up.
func (e *env) follow(ctx context.Context, phases *os.File, wait time.Duration) (last cluster.Phase, err error) {
	if err := phases.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return last, err
	}
	stop := context.AfterFunc(ctx, func() { _ = phases.SetReadDeadline(time.Now()) })
	defer stop()
	lines := bufio.NewScanner(phases)
	for lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return last, err
		}
		e.phase(last)
		if last.Ready {
			return last, nil
		}
	}
	if errors.Is(lines.Err(), os.ErrDeadlineExceeded) {
		if ctx.Err() != nil {
			return last, errors.New("interrupted; the cluster goes on starting in the background")
		}
		return last, fmt.Errorf("not ready after %s; it goes on starting in the background", wait)
	}
	return last, lines.Err()
}

// tail returns the last n lines that the log got since the start.
func tail(path string, from int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(io.LimitReader(f, 8<<20))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
