package runtime

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/spec"
)

// UpdateContainerResources changes the limits of a container; what the request leaves at zero stays. The new limits hold
// for a running container at once and for a created one from its start.
func (s *Server) UpdateContainerResources(ctx context.Context, r *api.UpdateContainerResourcesRequest) (*api.UpdateContainerResourcesResponse, error) {
	c, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	unlock, err := s.locks.lock(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if c, err = s.container(c.ID); err != nil {
		return nil, err
	}
	if c.State() == api.ContainerState_CONTAINER_EXITED {
		return nil, precondition("container %s has exited", c.ID)
	}
	merged := mergeResources(c.Resources.LinuxContainerResources, r.GetLinux())
	if err := s.applyResources(ctx, c, merged); err != nil {
		return nil, fmt.Errorf("update container %s: %w", c.ID, err)
	}
	return &api.UpdateContainerResourcesResponse{}, nil
}

func (s *Server) applyResources(ctx context.Context, c *ledger.Container, r *api.LinuxContainerResources) error {
	oci, err := spec.Resources(r, s.node)
	if err != nil {
		return invalid("%v", err)
	}
	changed := *c
	changed.Resources.LinuxContainerResources = r
	if c.State() == api.ContainerState_CONTAINER_RUNNING {
		if err := s.shim.Load().UpdateResources(ctx, c.ID, oci); err != nil {
			return err
		}
		return s.containers.Put(c.ID, &changed)
	}
	cfg := proto.CloneOf(c.Config.ContainerConfig)
	if cfg.Linux == nil {
		cfg.Linux = &api.LinuxContainerConfig{}
	}
	cfg.Linux.Resources = r
	changed.Config.ContainerConfig = cfg
	if err := s.writeSpec(ctx, &changed); err != nil {
		return err
	}
	return s.containers.Put(c.ID, &changed)
}

// mergeResources takes from change what it says, and the rest from now. The result shares nothing with either.
func mergeResources(now, change *api.LinuxContainerResources) *api.LinuxContainerResources {
	out := proto.CloneOf(now)
	if out == nil {
		out = &api.LinuxContainerResources{}
	}
	if len(change.GetHugepageLimits()) > 0 {
		out.HugepageLimits = nil // a list is replaced, not lengthened
	}
	if change != nil {
		proto.Merge(out, change) // passes over zero fields
	}
	return out
}
