package runtime

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/runtime/spec"
)

// Annotations by which a client asks for what CRI has no words for. `minato run` uses them; kubelets do not.
const (
	// NoNetwork on a sandbox gives it a network namespace with lo and nothing else.
	NoNetwork = "minato.dev/no-network"
	// KeepEarly on a container keeps its first output for whoever attaches first.
	KeepEarly = "minato.dev/keep-early-output"
	// LogMaxSize on a container has its log rotated by the shim at so many bytes, for no kubelet does it.
	LogMaxSize = "minato.dev/log-max-size"
	// Tmpfs on a container has file systems in memory mounted in it, see spec.Tmpfs.
	Tmpfs = spec.Tmpfs
	// Layer on a container names its writable layer, so that the next container with the same name of a layer goes on with
	// what this one wrote: the layer goes with the last container that names it. Two at a time cannot have it.
	Layer = "minato.dev/layer"
)

var layerName = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// checkLayer refuses a name that is none, and a layer that somebody writes to.
func (s *Server) checkLayer(c *api.ContainerConfig) error {
	name, wanted := c.GetAnnotations()[Layer]
	if !wanted {
		return nil
	}
	if !layerName.MatchString(name) {
		return invalid("container config: annotation %s=%q: must be 1 to 64 lower case letters and digits", Layer, name)
	}
	for _, other := range s.containers.All() {
		if other.Config.GetAnnotations()[Layer] == name && other.State() != api.ContainerState_CONTAINER_EXITED {
			return precondition("container config: the writable layer %q is that of container %s, which has not ended", name, other.ID)
		}
	}
	return nil
}

// layerDir is where a container's writable layer is: with the container, or by its name.
func (s *Server) layerDir(c *ledger.Container) string {
	if name := c.Config.GetAnnotations()[Layer]; name != "" {
		return filepath.Join(s.cfg.Root, "layers", name)
	}
	return s.cfg.containerData(c.ID)
}

// layerSharers are the other containers that name the same layer: they have ended.
func (s *Server) layerSharers(c *ledger.Container) (out []*ledger.Container) {
	name := c.Config.GetAnnotations()[Layer]
	if name == "" {
		return nil
	}
	for _, other := range s.containers.All() {
		if other.ID != c.ID && other.Config.GetAnnotations()[Layer] == name {
			out = append(out, other)
		}
	}
	return out
}

// freeLayer waits until nobody has the layer mounted any more: the end of a container is told before its root is gone.
func (s *Server) freeLayer(ctx context.Context, c *ledger.Container) error {
	for _, other := range s.layerSharers(c) {
		unlock, err := s.locks.lock(ctx, other.ID)
		if err != nil {
			return err
		}
		err = pin.Unmount(s.cfg.rootfs(other.ID))
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// logFiles is how many files a log that the shim rotates may have.
const logFiles = 3

// logMaxSize is 0 where the client rotates by itself.
func logMaxSize(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[LogMaxSize], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
