package seen

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Observe asks the runtime about the pod with this UID. Statuses of ended containers that `last` holds already are not
// asked for again: they do not change any more.
func Observe(ctx context.Context, rt runtimeapi.RuntimeServiceClient, uid types.UID, last Pod) (Pod, error) {
	p := Pod{UID: uid, Namespace: last.Namespace, Name: last.Name}
	sel := map[string]string{PodUID: string(uid)}
	boxes, err := rt.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{LabelSelector: sel}})
	if err != nil {
		return p, fmt.Errorf("list sandboxes: %w", err)
	}
	list, err := rt.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{LabelSelector: sel}})
	if err != nil {
		return p, fmt.Errorf("list containers: %w", err)
	}
	for _, b := range boxes.Items {
		p.Namespace, p.Name = b.Labels[PodNamespace], b.Labels[PodName]
		if err := p.addSandbox(ctx, rt, b); err != nil {
			return p, err
		}
	}
	for _, c := range list.Containers {
		if err := p.addContainer(ctx, rt, c, last); err != nil {
			return p, err
		}
	}
	p.order()
	return p, nil
}

func (p *Pod) order() {
	sort.Slice(p.Sandboxes, func(i, j int) bool { return p.Sandboxes[i].CreatedAt.After(p.Sandboxes[j].CreatedAt) })
	sort.Slice(p.Containers, func(i, j int) bool {
		a, b := &p.Containers[i], &p.Containers[j]
		if a.Created.Equal(b.Created) {
			return a.Attempt > b.Attempt
		}
		return a.Created.After(b.Created)
	})
}

// addSandbox asks for the addresses of a ready sandbox; an ended one has none that matter.
func (p *Pod) addSandbox(ctx context.Context, rt runtimeapi.RuntimeServiceClient, b *runtimeapi.PodSandbox) error {
	s := Sandbox{ID: b.Id, Attempt: b.Metadata.GetAttempt(), Ready: b.State == runtimeapi.PodSandboxState_SANDBOX_READY,
		CreatedAt: time.Unix(0, b.CreatedAt), Handler: b.RuntimeHandler}
	if s.Ready {
		st, err := rt.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: b.Id})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("status of sandbox %s: %w", b.Id, err)
		}
		s.Ready = st.Status.State == runtimeapi.PodSandboxState_SANDBOX_READY
		s.IPs = addresses(st.Status.Network)
	}
	p.Sandboxes = append(p.Sandboxes, s)
	return nil
}

func addresses(n *runtimeapi.PodSandboxNetworkStatus) []string {
	if n.GetIp() == "" {
		return nil
	}
	ips := []string{n.Ip}
	for _, a := range n.AdditionalIps {
		ips = append(ips, a.Ip)
	}
	return ips
}

func (p *Pod) addContainer(ctx context.Context, rt runtimeapi.RuntimeServiceClient, c *runtimeapi.Container, last Pod) error {
	i := slices.IndexFunc(last.Containers, func(o Container) bool { return o.ID == c.Id && o.State == Exited })
	if i >= 0 && c.State == runtimeapi.ContainerState_CONTAINER_EXITED {
		p.Containers = append(p.Containers, last.Containers[i])
		return nil
	}
	st, err := rt.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.Id})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("status of container %s: %w", c.Id, err)
	}
	p.Containers = append(p.Containers, containerOf(st.Status, c.PodSandboxId))
	return nil
}

var states = map[runtimeapi.ContainerState]State{
	runtimeapi.ContainerState_CONTAINER_CREATED: Created,
	runtimeapi.ContainerState_CONTAINER_RUNNING: Running,
	runtimeapi.ContainerState_CONTAINER_EXITED:  Exited,
	runtimeapi.ContainerState_CONTAINER_UNKNOWN: Unknown,
}

func containerOf(st *runtimeapi.ContainerStatus, sandbox string) Container {
	c := Container{ID: st.Id, Name: st.Labels[ContainerName], SandboxID: sandbox, State: states[st.State],
		Created: at(st.CreatedAt), Started: at(st.StartedAt), Finished: at(st.FinishedAt), ExitCode: st.ExitCode,
		Reason: st.Reason, Message: st.Message, Image: st.Image.GetImage(), ImageID: st.ImageRef,
		Hash: st.Annotations[ContainerHash], LogPath: st.LogPath, Annotations: st.Annotations}
	if n, err := strconv.ParseInt(st.Annotations[RestartCount], 10, 32); err == nil {
		c.Attempt = int32(n)
	} else {
		c.Attempt = int32(st.Metadata.GetAttempt())
	}
	if c.Name == "" {
		c.Name = st.Metadata.GetName()
	}
	if st.Image.GetUserSpecifiedImage() != "" {
		c.Image = st.Image.UserSpecifiedImage
	}
	if u := st.User.GetLinux(); u != nil {
		c.User = &User{UID: u.Uid, GID: u.Gid, Groups: u.SupplementalGroups}
	}
	if r := st.Resources.GetLinux(); r != nil {
		c.CPUShares, c.CPUQuota, c.CPUPeriod, c.MemoryLimit = r.CpuShares, r.CpuQuota, r.CpuPeriod, r.MemoryLimitInBytes
	}
	return c
}

func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Identity names a pod that the runtime knows.
type Identity struct {
	UID             types.UID
	Namespace, Name string
}

// All lists the pods that the runtime knows, by their sandboxes and containers.
func All(ctx context.Context, rt runtimeapi.RuntimeServiceClient) (map[types.UID]Identity, error) {
	boxes, err := rt.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	list, err := rt.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	all := map[types.UID]Identity{}
	note := func(l map[string]string) {
		if uid := types.UID(l[PodUID]); uid != "" {
			all[uid] = Identity{uid, l[PodNamespace], l[PodName]}
		}
	}
	for _, b := range boxes.Items {
		note(b.Labels)
	}
	for _, c := range list.Containers {
		note(c.Labels)
	}
	return all, nil
}
