package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// update changes a container's limits.
func (s *Supervisor) update(ctx context.Context, id string, res *specs.LinuxResources) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, err := s.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	s.mu.Lock()
	status := c.state.Status
	s.mu.Unlock()
	if status == shim.Exited {
		return fmt.Errorf("update of container %q, which has exited: %w", id, shim.ErrState)
	}
	req := s.updateRequest(c)
	req.Resources = res
	if _, err := s.help(ctx, "update", filepath.Join(c.dir, updateDir), req, [3]*os.File{}, nil); err != nil {
		return fmt.Errorf("update of container %q: %w", id, err)
	}
	return nil
}
