package upstream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// StartBuilder starts BuildKit's daemon with Debian's runc, on steps in the host's network as ours, and waits until it
// answers. It returns the process id.
func (c *Cluster) StartBuilder(ctx context.Context) (pid int, err error) {
	if err := c.start(ctx, "buildkitd", "--addr", c.builder(), "--root", filepath.Join(c.Dir, "buildkit"),
		"--oci-worker-snapshotter", "overlayfs", "--oci-worker-net", "host"); err != nil {
		return 0, err
	}
	// nsenter becomes the daemon, so the process is its own.
	pid = c.procs[len(c.procs)-1].Process.Pid
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := c.Buildctl(ctx, "debug", "workers")
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return pid, err
		}
	}
}

func (c *Cluster) builder() string { return "unix://" + filepath.Join(c.Dir, "buildkitd.sock") }

// Buildctl runs BuildKit's client; its CPU time is the cluster's.
func (c *Cluster) Buildctl(ctx context.Context, arg ...string) error {
	return c.tool(ctx, append([]string{"buildctl", "--addr", c.builder()}, arg...)...)
}

// Take imports an archive into containerd as `ctr` does; its CPU time is the cluster's.
func (c *Cluster) Take(ctx context.Context, archive string) error {
	return c.tool(ctx, "ctr", "-a", c.socket(), "-n", "k8s.io", "images", "import", archive)
}

func (c *Cluster) tool(ctx context.Context, arg ...string) error {
	cmd := c.Net.Command(ctx, append([]string{filepath.Join(c.bin, arg[0])}, arg[1:]...)...)
	cmd.Env = append(os.Environ(), "PATH="+c.bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := c.Cgroup.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", arg[0], err, out.Bytes())
	}
	return nil
}
