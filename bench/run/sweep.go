package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
)

// sweep ends and removes all that a bench has left on the machine under the run's tag, and returns an error that names
// it: a bench that ends well leaves nothing.
func sweep(tag, dir string) error {
	var left []error
	names, err := filepath.Glob(filepath.Join(measure.NetnsDir, tag+"-*"))
	if err != nil {
		return err
	}
	for _, path := range names {
		name := filepath.Base(path)
		left = append(left, fmt.Errorf("network namespace %s", name), endNetns(measure.OpenNetns(name), filepath.Join(dir, strings.TrimPrefix(name, tag+"-"))))
	}
	for _, g := range cgroup.Leftovers(tag + "-") {
		left = append(left, fmt.Errorf("cgroup %s", g.Path), g.Close())
	}
	if mounted(dir) {
		left = append(left, fmt.Errorf("mounts below %s", dir), upstream.Unmount(dir))
	}
	return errors.Join(left...)
}

// endNetns stops the cluster of ours that a namespace may hold, kills what is in it after that, and removes it.
func endNetns(n *measure.Netns, data string) error {
	var errs []error
	if _, err := os.Stat(filepath.Join(data, "cluster.json")); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), cleaning)
		errs = append(errs, down(ctx, n, data))
		cancel()
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ps, err := n.Processes()
		if err != nil || len(ps) == 0 {
			break
		}
		for _, p := range ps {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // one that has gone needs none
		}
	}
	return errors.Join(append(errs, n.Close())...)
}

func down(ctx context.Context, n *measure.Netns, data string) error {
	program, err := exec.LookPath("bin/minato")
	if err != nil {
		return err
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	err = measure.Output(n.Command(ctx, program, "down", "--purge", "--data-dir", data))
	if err != nil {
		return err
	}
	if _, err := os.Stat(data); err == nil && !mounted(data) {
		return os.RemoveAll(data)
	}
	return nil
}
