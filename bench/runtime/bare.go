package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
)

// bare are processes of the pods' program without a container.
type bare struct {
	group *cgroup.Group
	all   []*exec.Cmd
}

func newBare() (*bare, error) {
	g, err := cgroup.New(measure.Tag() + "-bare-" + filepath.Base(os.TempDir()))
	return &bare{group: g}, err
}

func (b *bare) start(context.Context) error {
	cmd := exec.Command(program, "sleep", "100000")
	cmd.Env = []string{"PATH=/bin"}
	err := b.group.Start(cmd)
	if cmd.Process != nil {
		b.all = append(b.all, cmd)
	}
	return err
}

func (b *bare) close() error {
	err := b.group.Kill()
	for _, cmd := range b.all {
		_ = cmd.Wait() // it was killed
	}
	return errors.Join(err, b.group.Close())
}
