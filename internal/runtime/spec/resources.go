package spec

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (b *build) resources() error {
	r, err := Resources(b.res, b.Node)
	if err != nil {
		return err
	}
	devices := b.spec.Linux.Resources // what the devices aspect allowed
	if devices != nil {
		r.Devices = devices.Devices
	}
	b.spec.Linux.Resources = r
	return nil
}

// Resources turns CRI limits into OCI ones; zero means "not said".
func Resources(in *cri.LinuxContainerResources, n Node) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{CPU: cpu(in), Memory: memory(in, n)}
	for _, h := range in.GetHugepageLimits() {
		if !n.Hugetlb {
			if h.GetLimit() > 0 {
				return nil, fmt.Errorf("huge pages of %s: this node has no hugetlb controller", h.GetPageSize())
			}
			continue
		}
		out.HugepageLimits = append(out.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: h.GetPageSize(), Limit: h.GetLimit()})
	}
	if len(in.GetUnified()) > 0 {
		if !n.CgroupV2 {
			return nil, errors.New("unified resources need cgroup v2, and this node runs v1")
		}
		out.Unified = in.GetUnified()
	}
	return out, nil
}

func cpu(in *cri.LinuxContainerResources) *specs.LinuxCPU {
	c := &specs.LinuxCPU{Cpus: in.GetCpusetCpus(), Mems: in.GetCpusetMems()}
	if v := in.GetCpuShares(); v != 0 {
		shares := uint64(v)
		c.Shares = &shares
	}
	if v := in.GetCpuQuota(); v != 0 {
		c.Quota = &v
	}
	if v := in.GetCpuPeriod(); v != 0 {
		period := uint64(v)
		c.Period = &period
	}
	return c
}

// memory limits swap together with memory where the kernel accounts it: a client that says nothing about swap gets
// none beyond its memory.
func memory(in *cri.LinuxContainerResources, n Node) *specs.LinuxMemory {
	limit := in.GetMemoryLimitInBytes()
	if limit == 0 {
		return nil
	}
	m := &specs.LinuxMemory{Limit: &limit}
	if swap := in.GetMemorySwapLimitInBytes(); n.SwapLimit {
		if swap == 0 {
			swap = limit
		}
		m.Swap = &swap
	}
	return m
}
