package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/proxy"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hierarchy"
)

// stopTime is how long the cluster's process, and then the containers, get to end by themselves.
const (
	processStopTime   = 30 * time.Second
	containerStopTime = 2 * time.Second
)

// Down stops the cluster in a data directory and takes everything that it made outside of it off the machine: processes,
// mounts, cgroups, network namespaces, links, nftables tables, files and the kubeconfig entry. To the state on disk this
// is a reboot: the next start runs the same pods again. With purge what it made in the data directory goes too, and the directory if that leaves it empty. It may be called again
// after a failure. step, which may be nil, is told what is being done. It reports false where no cluster was ever made.
func Down(ctx context.Context, cfg Config, purge bool, step func(string)) (found bool, err error) {
	cfg, err = cfg.Complete()
	if err != nil {
		return false, err
	}
	if step == nil {
		step = func(string) {}
	}
	id, err := ReadIdentity(cfg.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // nothing here is known to be ours: nothing is touched
	}
	if err != nil {
		return true, err
	}
	if err := stopProcess(ctx, cfg.DataDir, step); err != nil {
		return true, err
	}
	paths := id.paths(cfg.DataDir)
	held, err := lockToClear(paths.lock())
	if err != nil {
		return true, err
	}
	defer held.Close()
	a := &assembly{cfg: cfg, id: id, paths: paths, log: cfg.Log}
	if err := a.clear(ctx, step); err != nil {
		return true, err
	}
	if purge {
		step("removing " + cfg.DataDir)
		return true, purgeData(cfg.DataDir)
	}
	return true, nil
}

// stopProcess asks the cluster's process to end, and after a while makes it.
func stopProcess(ctx context.Context, data string, step func(string)) error {
	pid, _, err := holder(data)
	if err != nil || pid == 0 {
		return err
	}
	step(fmt.Sprintf("stopping process %d", pid))
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for _, try := range []struct {
		sig  unix.Signal
		wait time.Duration
	}{{unix.SIGTERM, processStopTime}, {unix.SIGKILL, 5 * time.Second}} {
		if err := unix.PidfdSendSignal(fd, try.sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("signal process %d: %w", pid, err)
		}
		ended, err := waitPidfd(ctx, fd, try.wait)
		if ended || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

// waitPidfd waits until the process behind fd has ended.
func waitPidfd(ctx context.Context, fd int, most time.Duration) (bool, error) {
	deadline := time.Now().Add(most)
	for ctx.Err() == nil {
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(min(left, 200*time.Millisecond).Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, ctx.Err()
}

// clear takes everything outside the data directory away. Each step may find its work done already.
func (a *assembly) clear(ctx context.Context, step func(string)) error {
	step("stopping containers")
	if names := singles(a.id.cgroup() + "/run"); len(names) > 0 {
		step("stopping those of `minato run`: " + strings.Join(names, ", "))
	}
	errs := []error{killCgroups(ctx, a.id.cgroup()+"/kubepods", containerStopTime), killCgroups(ctx, a.id.cgroup()+"/run", containerStopTime), killCgroups(ctx, a.id.buildCgroup(), 0)}
	step("stopping the shim")
	errs = append(errs, a.stopShim(ctx))
	step("removing network, mounts and cgroups")
	if net, err := a.network(); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, net.Teardown(ctx))
	}
	services := proxy.New(proxy.Config{NodeName: a.id.NodeName, Table: a.id.serviceTable(), ClusterCIDR: a.id.PodCIDR, Bridge: a.id.Bridge, Log: a.log})
	errs = append(errs, services.Teardown(ctx), unmountUnder(a.paths.Run), unmountOurs(a.paths.Data),
		removeUnmounted(a.paths.Run), removeIfEmpty(runRoot), removeCgroups(a.id.cgroup()))
	if !a.id.Agent() {
		errs = append(errs, pki.RemoveKubeconfig(pki.UserKubeconfigPath(), a.id.Context))
	}
	return errors.Join(errs...)
}

// singles are the names of the containers without a pod that have a cgroup, running ones and others.
func singles(parent string) (names []string) {
	for _, dir := range hierarchy.Dirs(parent) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if err == nil && e.IsDir() && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return names
}

// stopShim ends shim and keeper where they run.
func (a *assembly) stopShim(ctx context.Context) error {
	if _, err := os.Stat(a.paths.shim()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cfg, err := a.shimConfig()
	if err != nil {
		return err
	}
	c, err := shim.Ensure(ctx, cfg)
	if err != nil {
		return fmt.Errorf("reach the shim: %w", err)
	}
	defer c.Close()
	states, _, err := c.List(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, s := range states {
		if err := c.Delete(ctx, s.ID); err != nil && !errors.Is(err, shim.ErrNotFound) {
			return fmt.Errorf("delete container %s: %w", s.ID, err)
		}
	}
	return c.Shutdown(ctx)
}
