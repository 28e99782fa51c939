package seen

import (
	"slices"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Merge adds what an event tells to an observation. It only goes forward: an event may be older than the observation, so
// a container never goes back from Running to Created, a sandbox never gets ready again, and nothing is dropped. full is
// false where the event does not say enough, so that the pod has to be observed.
func (p Pod) Merge(e *runtimeapi.ContainerEventResponse) (merged Pod, full bool) {
	st := e.GetPodSandboxStatus()
	if st == nil || e.ContainerEventType == runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT {
		return p, false
	}
	p.Sandboxes, p.Containers = slices.Clone(p.Sandboxes), slices.Clone(p.Containers)
	p.mergeSandbox(st)
	full = e.ContainerId == st.Id
	for _, c := range e.ContainersStatuses {
		full = full || c.Id == e.ContainerId
		p.mergeContainer(containerOf(c, st.Id))
	}
	p.order()
	return p, full
}

func (p *Pod) mergeSandbox(st *runtimeapi.PodSandboxStatus) {
	ready := st.State == runtimeapi.PodSandboxState_SANDBOX_READY
	for i := range p.Sandboxes {
		if s := &p.Sandboxes[i]; s.ID == st.Id {
			s.Ready = s.Ready && ready
			if s.Ready && len(s.IPs) == 0 {
				s.IPs = addresses(st.Network)
			}
			return
		}
	}
	s := Sandbox{ID: st.Id, Attempt: st.Metadata.GetAttempt(), Ready: ready, CreatedAt: time.Unix(0, st.CreatedAt), Handler: st.RuntimeHandler}
	if ready {
		s.IPs = addresses(st.Network)
	}
	p.Sandboxes = append(p.Sandboxes, s)
}

func (p *Pod) mergeContainer(c Container) {
	for i := range p.Containers {
		if p.Containers[i].ID == c.ID {
			if c.State > p.Containers[i].State || p.Containers[i].State == Unknown {
				p.Containers[i] = c
			}
			return
		}
	}
	p.Containers = append(p.Containers, c)
}

// Find returns the container with this id, nil where there is none.
func (p Pod) Find(id string) *Container {
	for i := range p.Containers {
		if p.Containers[i].ID == id {
			return &p.Containers[i]
		}
	}
	return nil
}
