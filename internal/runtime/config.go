package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"minato.dev/minato/internal/failpoint"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/shim"
)

// Config is what a Server is made of.
type Config struct {
	Root      string // durable directory: ledger and writable layers
	RunDir    string // volatile directory; the Server mounts a private tmpfs on it
	Socket    string // unix socket to serve CRI on
	Shim      shim.Config
	Images    Images
	Network   Network
	Streaming string // host:port that exec, attach and port-forward are streamed on; "": 127.0.0.1:0
	Version   string // of this program, for the Version verb; semver
	Log       *slog.Logger
	// Handlers are other OCI runtimes by the names that RuntimeClasses give them: paths of programs, or names that are
	// looked up on the PATH. See CheckHandlers; our own runtime needs none.
	Handlers map[string]string
	// PodCIDR is told the pod range that the kubelet learns (UpdateRuntimeConfig); nil where the range is fixed.
	PodCIDR func(ctx context.Context, cidr string) error
	// Changed is called when Status has something new to say that nobody has asked for; it must not block. May be nil.
	Changed func()
	// Reach is told of each step; nil outside of tests.
	Reach failpoint.Func
}

// Images is the node's image store; *image.Store is one.
type Images interface {
	Resolve(ref string) (image.Image, bool)
	Pull(ctx context.Context, r image.PullRequest) (image.Image, error)
	List() []image.Image
	Remove(ctx context.Context, ref string, o image.RemoveOptions) error
	Usage(ctx context.Context) (image.Usage, error)
}

// Network gives pods their network; *network.Network is one. All methods may be called again with the same answer.
type Network interface {
	Ensure(ctx context.Context) error
	Attach(ctx context.Context, r network.Request) (network.Result, error)
	Detach(ctx context.Context, id string) error
	// Loopback sets lo up in a network namespace that is not attached to anything.
	Loopback(netns string) error
	Sweep(ctx context.Context, alive map[string]bool) error
	// SweepLinks deletes what detached sandboxes left, and returns how much may still go by itself: call again then.
	SweepLinks(ctx context.Context) (young int, err error)
}

var (
	_ Images  = (*image.Store)(nil)
	_ Network = (*network.Network)(nil)
)

// check completes c and refuses what cannot work.
func (c *Config) check() error {
	for name, dir := range map[string]string{"Root": c.Root, "RunDir": c.RunDir, "Socket": c.Socket} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("runtime: %s %q must be an absolute path", name, dir)
		}
	}
	if c.Images == nil || c.Network == nil {
		return fmt.Errorf("runtime: Images and Network must be given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Streaming == "" {
		c.Streaming = "127.0.0.1:0"
	}
	if c.Version == "" {
		c.Version = "0.0.0"
	}
	return nil
}

// Directories of one sandbox or container.
func (c *Config) sandboxDir(id string) string    { return filepath.Join(c.RunDir, "sandboxes", id) }
func (c *Config) pinDir(id string) string        { return filepath.Join(c.sandboxDir(id), "ns") }
func (c *Config) netns(id string) string         { return filepath.Join(c.pinDir(id), "net") }
func (c *Config) shmDir(id string) string        { return filepath.Join(c.sandboxDir(id), "shm") }
func (c *Config) bundleDir(id string) string     { return filepath.Join(c.RunDir, "containers", id) }
func (c *Config) rootfs(id string) string        { return filepath.Join(c.bundleDir(id), "rootfs") }
func (c *Config) containerData(id string) string { return filepath.Join(c.Root, "containers", id) }
func (c *Config) volumeDir(id string, i int) string {
	return filepath.Join(c.bundleDir(id), "volumes", fmt.Sprint(i))
}
