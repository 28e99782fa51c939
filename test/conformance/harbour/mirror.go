package harbour

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// mirrored is the registry that the suite's images come from.
const mirrored = "registry.k8s.io"

// mirror serves pulls from inside a node's namespace, because one test pulls an image anew, and returns the directory that
// tells minato so.
func (h *Harbour) mirror(n *node, registry http.Handler) (string, error) {
	l, err := n.listen()
	if err != nil {
		return "", fmt.Errorf("listen in %s: %w", n.netns, err)
	}
	server := &http.Server{Handler: registry}
	n.mirror = server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("the mirror ended", "err", err)
		}
	}()
	dir := filepath.Join(h.dir, "registries-"+n.netns)
	if err := os.MkdirAll(filepath.Join(dir, mirrored), 0o755); err != nil {
		return "", err
	}
	hosts := fmt.Sprintf("[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", l.Addr())
	return dir, os.WriteFile(filepath.Join(dir, mirrored, "hosts.toml"), []byte(hosts), 0o644)
}

// listen opens a loopback port in the namespace, by a thread that enters it and ends.
func (n *node) listen() (net.Listener, error) {
	type answer struct {
		l   net.Listener
		err error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not serve anybody else
		l, err := func() (net.Listener, error) {
			ns, err := os.Open("/run/netns/" + n.netns)
			if err != nil {
				return nil, err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return nil, err
			}
			return net.Listen("tcp", "127.0.0.1:0")
		}()
		done <- answer{l, err}
	}()
	a := <-done
	return a.l, a.err
}
