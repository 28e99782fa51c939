package cri

import (
	"context"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cri"
)

// theirs is upstream's containerd with Debian's runc and the bridge plugin.
func theirs(t *testing.T, archives [][]byte) *side {
	bin := upstream.Dir()
	if err := upstream.Build(t.Context(), bin, "containerd", "containerd-shim-runc-v2", "ctr", "pause"); err != nil {
		t.Fatal(err)
	}
	u, err := upstream.New(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &side{name: "containerd", dir: t.TempDir(), cgroup: u.Cgroup.Path, dial: u.Net.DialContext}
	s.listen = func(network, address string) (net.Listener, error) {
		return listenIn(filepath.Base(u.Dir), network, address)
	}
	var socket string
	for i, a := range archives {
		file := filepath.Join(s.dir, "image.tar")
		if err := os.WriteFile(file, a, 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			socket, err = u.StartRuntime(t.Context(), *cniDir, file)
		} else {
			err = u.Import(t.Context(), file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if s.Client, err = cri.Dial(ctx, socket); err != nil {
		t.Fatal(err)
	}
	return s
}

// listenIn opens a socket in the namespace of upstream's.
func listenIn(name, network, address string) (net.Listener, error) {
	goruntime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	there, err := netns.GetFromPath(filepath.Join(measure.NetnsDir, measure.Tag()+"-"+name))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if back := netns.Set(home); back != nil {
		return nil, back // the thread stays locked: it must not serve anything else
	}
	goruntime.UnlockOSThread()
	return l, err
}
