package runtime

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/ledger"
)

// ContainerStats returns what one container takes now.
func (s *Server) ContainerStats(_ context.Context, r *api.ContainerStatsRequest) (*api.ContainerStatsResponse, error) {
	c, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	st, err := s.statsOf(c, time.Now())
	return &api.ContainerStatsResponse{Stats: st}, err
}

// ListContainerStats returns what the running containers take now.
func (s *Server) ListContainerStats(_ context.Context, r *api.ListContainerStatsRequest) (*api.ListContainerStatsResponse, error) {
	all, err := s.listStats(r.GetFilter())
	return &api.ListContainerStatsResponse{Stats: all}, err
}

// StreamContainerStats is ListContainerStats in pieces.
func (s *Server) StreamContainerStats(r *api.StreamContainerStatsRequest, st grpc.ServerStreamingServer[api.StreamContainerStatsResponse]) error {
	all, err := s.listStats(r.GetFilter())
	if err != nil {
		return err
	}
	return inPieces(all, func(part []*api.ContainerStats) error {
		return st.Send(&api.StreamContainerStatsResponse{ContainerStats: part})
	})
}

func (s *Server) listStats(f *api.ContainerStatsFilter) ([]*api.ContainerStats, error) {
	return s.statsOfAll(s.selectContainers(f.GetId(), f.GetPodSandboxId(), f.GetLabelSelector()), time.Now())
}

func (s *Server) statsOfAll(cs []*ledger.Container, now time.Time) ([]*api.ContainerStats, error) {
	var out []*api.ContainerStats
	for _, c := range cs {
		if c.State() != api.ContainerState_CONTAINER_RUNNING {
			continue
		}
		st, err := s.statsOf(c, now)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// statsOf reads the container's cgroup and layer. One that has ended between the list and the reading has only a layer.
func (s *Server) statsOf(c *ledger.Container, now time.Time) (*api.ContainerStats, error) {
	st := &api.ContainerStats{Attributes: &api.ContainerAttributes{Id: c.ID, Metadata: c.Config.GetMetadata(),
		Labels: c.Config.GetLabels(), Annotations: c.Config.GetAnnotations()}}
	dir := s.layerDir(c)
	size, err := s.layers.get(c.ID, dir+"/upper", now)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	st.WritableLayer = &api.FilesystemUsage{Timestamp: now.UnixNano(), FsId: &api.FilesystemIdentifier{Mountpoint: dir},
		UsedBytes: number(size.bytes), InodesUsed: number(size.inodes)}
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil || c.State() != api.ContainerState_CONTAINER_RUNNING {
		return st, nil
	}
	u, err := s.cgroups.Usage(s.cgroupOf(p, c.ID), now)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	st.Cpu, st.Memory, st.Swap, st.Io = s.cpuUsage(c.ID, u), memoryUsage(u), swapUsage(u), ioUsage(u)
	return st, nil
}

func number(v uint64) *api.UInt64Value { return &api.UInt64Value{Value: v} }

func (s *Server) cpuUsage(id string, u cgroup.Usage) *api.CpuUsage {
	return &api.CpuUsage{Timestamp: u.Time.UnixNano(), UsageCoreNanoSeconds: number(uint64(u.CPU)), UsageNanoCores: s.samples.rate(id, u), Psi: psi(u, "cpu")}
}

func memoryUsage(u cgroup.Usage) *api.MemoryUsage {
	m := &api.MemoryUsage{Timestamp: u.Time.UnixNano(), WorkingSetBytes: number(u.WorkingSet), UsageBytes: number(u.Memory),
		RssBytes: number(u.RSS), PageFaults: number(u.Faults), MajorPageFaults: number(u.MajorFault), Psi: psi(u, "memory")}
	if u.Limit > 0 {
		m.AvailableBytes = number(u.Limit - min(u.Limit, u.WorkingSet))
	}
	return m
}

func swapUsage(u cgroup.Usage) *api.SwapUsage {
	sw := &api.SwapUsage{Timestamp: u.Time.UnixNano(), SwapUsageBytes: number(u.Swap)}
	if u.SwapLimit > 0 {
		sw.SwapAvailableBytes = number(u.SwapLimit - min(u.SwapLimit, u.Swap))
	}
	return sw
}

func ioUsage(u cgroup.Usage) *api.IoUsage {
	return &api.IoUsage{Timestamp: u.Time.UnixNano(), Psi: psi(u, "io")}
}

// psi is nil where the kernel does not tell, as on cgroup v1.
func psi(u cgroup.Usage, resource string) *api.PsiStats {
	p, ok := u.PSI[resource]
	if !ok {
		return nil
	}
	data := func(p cgroup.Pressure) *api.PsiData {
		return &api.PsiData{Total: uint64(p.Total), Avg10: p.Avg10, Avg60: p.Avg60, Avg300: p.Avg300}
	}
	return &api.PsiStats{Some: data(p.Some), Full: data(p.Full)}
}
