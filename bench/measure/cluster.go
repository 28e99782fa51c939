package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// A Cluster is a one-node cluster of ours in a network namespace and a data directory of its own.
type Cluster struct {
	Net     *Netns
	DataDir string
	Port    int
	program string
}

// NewCluster prepares one for the given minato program; Up starts it, Close leaves nothing of it. The namespace is named
// after the directory: bench/run stops by that what a killed command left running.
func NewCluster(ctx context.Context, program, name string) (*Cluster, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return nil, err
	}
	n, err := NewNetns(ctx, filepath.Base(dir))
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &Cluster{Net: n, DataDir: dir, Port: 17443, program: program}, nil
}

// Up is the command that starts the cluster and returns when it stands.
func (c *Cluster) Up(ctx context.Context) *exec.Cmd {
	return c.Net.Command(ctx, c.program, "up", "--detach", "--data-dir", c.DataDir, "--port", strconv.Itoa(c.Port), "--merge-kubeconfig=false")
}

// Kubectl is a kubectl command against it.
func (c *Cluster) Kubectl(ctx context.Context, kubectl string, arg ...string) *exec.Cmd {
	return c.Net.Command(ctx, append([]string{kubectl, "--kubeconfig", filepath.Join(c.DataDir, "admin.kubeconfig")}, arg...)...)
}

// Down stops it and keeps its data.
func (c *Cluster) Down(ctx context.Context) error {
	return Output(c.Net.Command(ctx, c.program, "down", "--data-dir", c.DataDir))
}

// Close stops it and removes data and namespace.
func (c *Cluster) Close() error {
	err := Output(c.Net.Command(context.Background(), c.program, "down", "--purge", "--data-dir", c.DataDir))
	if gone := c.Net.Close(); err == nil {
		err = gone
	}
	if err != nil { // something may still be mounted in it: what a mount shows is not ours to remove
		return fmt.Errorf("%w; %s is left", err, c.DataDir)
	}
	return os.RemoveAll(c.DataDir)
}
