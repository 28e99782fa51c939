package runtime

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// UpdatePodSandboxResources notes the pod's new sums and, where the pod's cgroup is ours, sets them. A kubelet that made
// the cgroup has set them itself.
func (s *Server) UpdatePodSandboxResources(ctx context.Context, r *api.UpdatePodSandboxResourcesRequest) (*api.UpdatePodSandboxResourcesResponse, error) {
	p, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	unlock, err := s.locks.lock(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if p, err = s.sandbox(p.ID); err != nil {
		return nil, err
	}
	cfg := proto.CloneOf(p.Config.PodSandboxConfig)
	if cfg.Linux == nil {
		cfg.Linux = &api.LinuxPodSandboxConfig{}
	}
	cfg.Linux.Overhead = mergeResources(cfg.Linux.Overhead, r.GetOverhead())
	cfg.Linux.Resources = mergeResources(cfg.Linux.Resources, r.GetResources())
	changed := *p
	changed.Config = ledger.SandboxSpec{PodSandboxConfig: cfg}
	if p.OwnsPod && p.Intent == ledger.Kept {
		if err := s.cgroups.Set(cfg.Linux.GetCgroupParent(), podLimits(cfg.Linux)); err != nil {
			return nil, fmt.Errorf("update sandbox %s: %w", p.ID, err)
		}
	}
	return &api.UpdatePodSandboxResourcesResponse{}, s.sandboxes.Put(p.ID, &changed)
}
