package runtime

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// PodSandboxStats returns what one pod and its containers take now.
func (s *Server) PodSandboxStats(ctx context.Context, r *api.PodSandboxStatsRequest) (*api.PodSandboxStatsResponse, error) {
	p, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	st, err := s.podStats(ctx, p, time.Now())
	return &api.PodSandboxStatsResponse{Stats: st}, err
}

// ListPodSandboxStats returns what the ready pods take now.
func (s *Server) ListPodSandboxStats(ctx context.Context, r *api.ListPodSandboxStatsRequest) (*api.ListPodSandboxStatsResponse, error) {
	all, err := s.listPodStats(ctx, r.GetFilter())
	return &api.ListPodSandboxStatsResponse{Stats: all}, err
}

// StreamPodSandboxStats is ListPodSandboxStats in pieces.
func (s *Server) StreamPodSandboxStats(r *api.StreamPodSandboxStatsRequest, st grpc.ServerStreamingServer[api.StreamPodSandboxStatsResponse]) error {
	all, err := s.listPodStats(st.Context(), r.GetFilter())
	if err != nil {
		return err
	}
	return inPieces(all, func(part []*api.PodSandboxStats) error {
		return st.Send(&api.StreamPodSandboxStatsResponse{PodSandboxStats: part})
	})
}

func (s *Server) listPodStats(ctx context.Context, f *api.PodSandboxStatsFilter) ([]*api.PodSandboxStats, error) {
	var out []*api.PodSandboxStats
	now := time.Now()
	for _, p := range s.sandboxes.All() {
		if p.Intent != ledger.Kept || !strings.HasPrefix(p.ID, f.GetId()) || !matches(p.Config.GetLabels(), f.GetLabelSelector()) || !s.ready(p) {
			continue
		}
		st, err := s.podStats(ctx, p, now)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// podStats reads the pod's own cgroup, which counts all containers, and the counters of its network.
func (s *Server) podStats(ctx context.Context, p *ledger.Sandbox, now time.Time) (*api.PodSandboxStats, error) {
	c := p.Config.PodSandboxConfig
	st := &api.PodSandboxStats{Linux: &api.LinuxPodSandboxStats{},
		Attributes: &api.PodSandboxAttributes{Id: p.ID, Metadata: c.GetMetadata(), Labels: c.GetLabels(), Annotations: c.GetAnnotations()}}
	var err error
	if st.Linux.Containers, err = s.statsOfAll(s.selectContainers("", p.ID, nil), now); err != nil {
		return nil, err
	}
	if parent := c.GetLinux().GetCgroupParent(); parent != "" {
		u, err := s.cgroups.Usage(parent, now)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			st.Linux.Cpu, st.Linux.Memory, st.Linux.Io = s.cpuUsage(p.ID, u), memoryUsage(u), ioUsage(u)
			st.Linux.Process = &api.ProcessUsage{Timestamp: now.UnixNano(), ProcessCount: number(u.Processes)}
		}
	}
	if !hostNetwork(c) && s.ready(p) {
		st.Linux.Network, err = s.networkUsage(ctx, p, now)
	}
	return st, err
}
