package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/cgroup"
)

// Change is a running container whose resources are not those that it is granted.
type Change struct {
	ID        string
	Container *corev1.Container // with what it is granted
	Now       corev1.ResourceRequirements
}

// Resize brings running containers and the pod's cgroup from what they have to what pod, with its grant, says. Of each
// resource the pod's limit is raised before the containers' and lowered after them, and among the containers those that
// give come before those that take, so that the sum is never above the pod's limit. It is safe to repeat.
func (n *Node) Resize(ctx context.Context, pod *corev1.Pod, sandbox string, list []Change, now cgroup.Limits) error {
	want := n.Limits(pod)
	if err := n.memoryFits(ctx, pod, list, now, want); err != nil {
		return err
	}
	between := now
	between.Memory = want.Memory
	memory := axis{part: cgroup.Memory, sandbox: sandbox, limits: between, size: func(c *corev1.Container, r corev1.ResourceRequirements) int64 { return sized(c, r)[2] },
		resources: func(r *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources {
			return &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: r.MemoryLimitInBytes, MemorySwapLimitInBytes: r.MemorySwapLimitInBytes, OomScoreAdj: r.OomScoreAdj}
		}}
	if err := n.resizeAxis(ctx, pod, list, memory, above(want.Memory, now.Memory)); err != nil {
		return err
	}
	cpu := axis{part: cgroup.CPU, sandbox: sandbox, limits: want, size: func(c *corev1.Container, r corev1.ResourceRequirements) int64 { return sized(c, r)[1] },
		resources: func(r *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources {
			return &runtimeapi.LinuxContainerResources{CpuShares: r.CpuShares, CpuQuota: r.CpuQuota, CpuPeriod: r.CpuPeriod}
		}}
	return n.resizeAxis(ctx, pod, list, cpu, above(want.Quota, now.Quota))
}

// axis is one of the two resources that change on their own.
type axis struct {
	part      cgroup.Part
	sandbox   string
	limits    cgroup.Limits                                                  // of the pod, when this one has changed
	size      func(c *corev1.Container, r corev1.ResourceRequirements) int64 // the limit
	resources func(r *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources
}

func (n *Node) resizeAxis(ctx context.Context, pod *corev1.Pod, list []Change, a axis, grows bool) error {
	setPod := func() error {
		if err := n.tellSandbox(ctx, pod, a.sandbox, a.limits); err != nil {
			return err
		}
		return n.Cgroups.Change(pod.UID, Class(pod), a.limits, a.part)
	}
	if grows {
		if err := setPod(); err != nil {
			return err
		}
	}
	takes := func(c Change) int {
		if above(a.size(c.Container, c.Container.Resources), a.size(c.Container, c.Now)) {
			return 1
		}
		return 0
	}
	list = slices.Clone(list)
	sort.SliceStable(list, func(i, j int) bool { return takes(list[i]) < takes(list[j]) })
	for _, c := range list {
		r := a.resources(n.resources(pod, c.Container))
		_, err := n.Runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{ContainerId: c.ID, Linux: r})
		if cri.IsNotFound(err) {
			continue // it ended; the next one is made with what is granted
		}
		if err != nil {
			return fmt.Errorf("update container %q: %s", c.Container.Name, cri.Message(err))
		}
	}
	if grows {
		return nil
	}
	return setPod()
}

// sized is amounts of c with the resources r.
func sized(c *corev1.Container, r corev1.ResourceRequirements) [3]int64 {
	other := *c
	other.Resources = r
	return amounts(&other)
}

// above compares two limits, of which 0 is none at all.
func above(a, b int64) bool { return b != 0 && (a == 0 || a > b) }

// tellSandbox lets the runtime know the pod's new sums. A runtime that does not want to know them is none the worse.
func (n *Node) tellSandbox(ctx context.Context, pod *corev1.Pod, sandbox string, l cgroup.Limits) error {
	if sandbox == "" {
		return nil
	}
	_, err := n.Runtime.UpdatePodSandboxResources(ctx, &runtimeapi.UpdatePodSandboxResourcesRequest{PodSandboxId: sandbox, Resources: sandboxResources(pod, l)})
	if err != nil && !cri.IsUnimplemented(err) {
		return fmt.Errorf("resize rejected by the container runtime: %s", cri.Message(err))
	}
	return nil
}

// memoryFits refuses a memory limit below what is in use: the kernel would kill for it.
func (n *Node) memoryFits(ctx context.Context, pod *corev1.Pod, list []Change, now, want cgroup.Limits) error {
	var errs []error
	if above(now.Memory, want.Memory) {
		used, err := n.Cgroups.MemoryUsage(pod.UID, Class(pod))
		switch {
		case err != nil:
			errs = append(errs, err)
		case used >= want.Memory:
			errs = append(errs, fmt.Errorf("attempting to set pod memory limit (%d) below current usage (%d)", want.Memory, used))
		}
	}
	for _, c := range list {
		limit := sized(c.Container, c.Container.Resources)[2]
		if !above(sized(c.Container, c.Now)[2], limit) {
			continue
		}
		st, err := n.Runtime.ContainerStats(ctx, &runtimeapi.ContainerStatsRequest{ContainerId: c.ID})
		switch used := st.GetStats().GetMemory().GetUsageBytes(); {
		case cri.IsNotFound(err):
		case err != nil:
			errs = append(errs, errors.New(cri.Message(err)))
		case used == nil:
			errs = append(errs, fmt.Errorf("missing container %q memory usage", c.Container.Name))
		case used.Value >= uint64(limit):
			errs = append(errs, fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", c.Container.Name, limit, used.Value))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("cannot decrease memory limits: %w", utilerrors.NewAggregate(errs))
	}
	return nil
}
