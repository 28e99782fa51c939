package measure

import (
	"context"
	"net"
	"runtime"

	"github.com/vishvananda/netns"
)

// Listen listens at a literal address within the namespace.
func (n *Netns) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	there, err := netns.GetFromPath(n.path)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if back := netns.Set(home); back != nil {
		return nil, back // the thread stays locked: it must not serve anything else
	}
	runtime.UnlockOSThread()
	return l, err
}
