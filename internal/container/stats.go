package container

import (
	"context"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Usage is what a running container uses.
type Usage struct {
	At            time.Time
	CPU           time.Duration // so far
	Memory, Limit uint64        // bytes; limit 0: none of its own
	Layer         uint64        // bytes that it wrote beside volumes
	Received      uint64        // bytes, by its network
	Sent          uint64
	Processes     int
}

// Usage asks what c uses now.
func (e *Engine) Usage(ctx context.Context, c Container) (Usage, error) {
	u := Usage{Limit: uint64(c.Spec.Memory), Processes: len(e.Processes(c))}
	st, err := e.Runtime.ContainerStats(ctx, &cri.ContainerStatsRequest{ContainerId: c.ID})
	if err != nil {
		return u, plain(err)
	}
	u.At = time.Unix(0, st.Stats.GetCpu().GetTimestamp())
	u.CPU = time.Duration(st.Stats.GetCpu().GetUsageCoreNanoSeconds().GetValue())
	u.Memory = st.Stats.GetMemory().GetWorkingSetBytes().GetValue()
	u.Layer = st.Stats.GetWritableLayer().GetUsedBytes().GetValue()
	box, err := e.Runtime.PodSandboxStats(ctx, &cri.PodSandboxStatsRequest{PodSandboxId: c.Sandbox})
	if err != nil {
		return u, plain(err)
	}
	net := box.Stats.GetLinux().GetNetwork().GetDefaultInterface()
	u.Received, u.Sent = net.GetRxBytes().GetValue(), net.GetTxBytes().GetValue()
	return u, nil
}
