package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/shim"
)

// cgroupVariable tells our runtime where its shim belongs.
const cgroupVariable = "MINATO_BENCH_CGROUP"

// A side is a runtime that answers.
type side struct {
	name  string
	cri   *cri.Client
	group *cgroup.Group
	net   *measure.Netns
	logs  string
	n     atomic.Int64
	close func() error
}

// ours starts this program again as our runtime.
func ours(ctx context.Context, binary, archive string) (s *side, err error) {
	dir, err := os.MkdirTemp("", "ours")
	if err != nil {
		return nil, err
	}
	s = &side{name: "ours", logs: filepath.Join(dir, "logs")}
	var cmd *exec.Cmd
	s.close = func() error { return s.endOurs(cmd, dir, binary) }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	name := filepath.Base(dir)
	if s.net, err = measure.NewNetns(ctx, name); err != nil {
		return nil, err
	}
	if s.group, err = cgroup.New(measure.Tag() + "-" + name); err != nil {
		return nil, err
	}
	if err := os.Link(archive, filepath.Join(dir, archiveName)); err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	cmd = s.net.Command(context.WithoutCancel(ctx), "/proc/self/exe", "-serve", dir, "-shim", binary)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd.Args[len(cmd.Args)-5] = self
	cmd.Env = append(os.Environ(), cgroupVariable+"="+s.group.Path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.group.Start(cmd); err != nil {
		return nil, err
	}
	s.cri, err = dial(ctx, filepath.Join(dir, socketName))
	return s, err
}

// endOurs takes everything of ours away, the shim included, which would outlive its runtime.
func (s *side) endOurs(cmd *exec.Cmd, dir, binary string) error {
	var errs []error
	if s.cri != nil {
		errs = append(errs, s.cri.Close())
	}
	if cmd != nil && cmd.Process != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
		_ = cmd.Wait()
	}
	if _, err := os.Stat(filepath.Join(dir, "shim", shim.SocketName)); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if c, err := shim.Ensure(ctx, shim.Config{Binary: binary, RunDir: filepath.Join(dir, "shim")}); err == nil {
			errs = append(errs, c.Shutdown(ctx), c.Close())
		}
	}
	if s.group != nil {
		errs = append(errs, s.group.Close())
	}
	if s.net != nil {
		errs = append(errs, s.net.Close())
	}
	mounted := upstream.Unmount(dir)
	if mounted == nil {
		mounted = os.RemoveAll(dir)
	}
	return errors.Join(append(errs, mounted)...)
}

// theirs starts containerd.
func theirs(ctx context.Context, c config, archive string) (*side, error) {
	if err := upstream.Build(ctx, c.upstream, "containerd", "containerd-shim-runc-v2", "ctr", "pause"); err != nil {
		return nil, err
	}
	u, err := upstream.New(ctx, c.upstream)
	if err != nil {
		return nil, err
	}
	s := &side{name: "containerd", group: u.Cgroup, net: u.Net, logs: filepath.Join(u.Dir, "pods"), close: u.Close}
	socket, err := u.StartRuntime(ctx, c.cni, archive)
	if err == nil {
		s.cri, err = dial(ctx, socket)
	}
	if err != nil {
		return nil, errors.Join(err, u.Close())
	}
	s.close = func() error { return errors.Join(s.cri.Close(), u.Close()) }
	return s, nil
}

// dial waits for a runtime whose network is ready too.
func dial(ctx context.Context, socket string) (*cri.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c, err := cri.Dial(ctx, socket)
		if err == nil {
			st, err := c.Status(ctx, &api.StatusRequest{})
			if err == nil && ready(st.GetStatus()) {
				return c, nil
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", socket, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(st *api.RuntimeStatus) bool {
	ok := 0
	for _, c := range st.GetConditions() {
		if c.Status && (c.Type == "RuntimeReady" || c.Type == "NetworkReady") {
			ok++
		}
	}
	return ok == 2
}

// cpu is what the side has used; its group is there as long as the side is.
func (s *side) cpu() time.Duration {
	d, err := s.group.CPU()
	if err != nil {
		return 0
	}
	return d
}

// memory of the runtime's processes, the containers' programs apart.
func (s *side) memory() (int64, error) {
	var sum int64
	dir := s.group.Path
	err := eachProcess(dir, func(pid int, command string) {
		if strings.HasPrefix(command, "sleep\x00") || strings.HasPrefix(command, "/bin/sleep\x00") {
			return
		}
		sum += pss(pid)
	})
	return sum, err
}

func pss(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0 // it has ended
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
