package kubelettest

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Use sets what containers of that name are said to take.
func (r *Runtime) Use(name string, memory, layer uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uses[name] = [2]uint64{memory, layer}
}

// UpdateContainerResources changes what the status shows; zeros change nothing.
func (r *Runtime) UpdateContainerResources(_ context.Context, req *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	if err := r.refuse("UpdateContainerResources", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[req.ContainerId]
	if c == nil {
		return nil, missing("container", req.ContainerId)
	}
	now, l := c.Status.Resources.Linux, req.Linux
	next := &runtimeapi.LinuxContainerResources{CpuShares: now.GetCpuShares(), CpuQuota: now.GetCpuQuota(), CpuPeriod: now.GetCpuPeriod(), MemoryLimitInBytes: now.GetMemoryLimitInBytes()}
	for _, f := range []struct {
		to   *int64
		from int64
	}{{&next.CpuShares, l.CpuShares}, {&next.CpuQuota, l.CpuQuota}, {&next.CpuPeriod, l.CpuPeriod}, {&next.MemoryLimitInBytes, l.MemoryLimitInBytes}} {
		if f.from != 0 {
			*f.to = f.from
		}
	}
	c.Status.Resources = &runtimeapi.ContainerResources{Linux: next}
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

// ContainerStats tells what Use has set.
func (r *Runtime) ContainerStats(_ context.Context, req *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[req.ContainerId]
	if c == nil {
		return nil, missing("container", req.ContainerId)
	}
	u := r.uses[c.Config.Metadata.Name]
	return &runtimeapi.ContainerStatsResponse{Stats: &runtimeapi.ContainerStats{Memory: &runtimeapi.MemoryUsage{UsageBytes: &runtimeapi.UInt64Value{Value: u[0]}},
		WritableLayer: &runtimeapi.FilesystemUsage{UsedBytes: &runtimeapi.UInt64Value{Value: u[1]}}}}, nil
}
