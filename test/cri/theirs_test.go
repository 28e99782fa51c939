package cri

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

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
		return u.Net.Listen(t.Context(), network, address)
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
