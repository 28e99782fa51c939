package measure

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
)

// A Netns is a network namespace with nothing but loopback. No packet leaves the machine from it.
type Netns struct{ name, path string }

// NewNetns makes the namespace, whose name on the machine is that with the run's tag before it; Close removes it.
func NewNetns(ctx context.Context, name string) (*Netns, error) {
	n := OpenNetns(Tag() + "-" + name)
	if err := Output(exec.CommandContext(ctx, "ip", "netns", "add", n.name)); err != nil {
		return nil, err
	}
	if err := Output(n.Command(ctx, "ip", "link", "set", "lo", "up")); err != nil {
		_ = n.Close()
		return nil, err
	}
	return n, nil
}

// OpenNetns is a namespace that exists.
func OpenNetns(name string) *Netns { return &Netns{name: name, path: filepath.Join(NetnsDir, name)} }

// NetnsDir is where named network namespaces are.
const NetnsDir = "/run/netns"

// Command returns a command that runs in the namespace. (`ip netns exec` would hide the cgroup mounts.)
func (n *Netns) Command(ctx context.Context, arg ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.path}, arg...)...)
}

// DialContext connects from within the namespace to a literal address.
func (n *Netns) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return within(n, func() (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, network, address) })
}

// Listen listens at a literal address within the namespace.
func (n *Netns) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return within(n, func() (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, network, address) })
}

// within calls f on a thread that is in the namespace.
func within[T any](n *Netns, f func() (T, error)) (out T, err error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return out, err
	}
	defer home.Close()
	there, err := netns.GetFromPath(n.path)
	if err != nil {
		return out, err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return out, err
	}
	out, err = f()
	if back := netns.Set(home); back != nil {
		return out, back // the thread stays locked: it must not serve anything else
	}
	runtime.UnlockOSThread()
	return out, err
}

// Close removes the namespace's name; it goes with its last process.
func (n *Netns) Close() error { return Output(exec.Command("ip", "netns", "del", n.name)) }

// Output runs a command and puts what it printed into the error.
func Output(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", c, err, out)
	}
	return nil
}

// inode identifies the namespace of a process, "" where the process has gone.
func inode(path string) string {
	s, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return s
}
