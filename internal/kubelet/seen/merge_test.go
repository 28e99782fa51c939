package seen

import (
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func event(kind runtimeapi.ContainerEventType, about string, box runtimeapi.PodSandboxState, containers ...*runtimeapi.ContainerStatus) *runtimeapi.ContainerEventResponse {
	return &runtimeapi.ContainerEventResponse{ContainerId: about, ContainerEventType: kind, ContainersStatuses: containers,
		PodSandboxStatus: &runtimeapi.PodSandboxStatus{Id: "box", State: box, Network: &runtimeapi.PodSandboxNetworkStatus{Ip: "10.0.0.1"}}}
}

func TestMergeGoesForward(t *testing.T) {
	const ready, dead = runtimeapi.PodSandboxState_SANDBOX_READY, runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	const created, started, stopped, deleted = runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT,
		runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT
	in := func(s runtimeapi.ContainerState) *runtimeapi.ContainerStatus {
		return &runtimeapi.ContainerStatus{Id: "c", State: s, Metadata: &runtimeapi.ContainerMetadata{Name: "main"}}
	}
	p, full := Pod{}.Merge(event(started, "box", ready))
	if !full || p.ReadySandbox() == nil || p.ReadySandbox().IPs[0] != "10.0.0.1" {
		t.Fatalf("a sandbox event gives %+v, %v", p, full)
	}
	p, full = p.Merge(event(started, "c", ready, in(runtimeapi.ContainerState_CONTAINER_RUNNING)))
	if !full || p.Latest("main").State != Running {
		t.Errorf("a start gives %+v, %v", p, full)
	}
	p, _ = p.Merge(event(created, "c", ready, in(runtimeapi.ContainerState_CONTAINER_CREATED)))
	if p.Latest("main").State != Running {
		t.Error("a late event took the container back")
	}
	p, _ = p.Merge(event(stopped, "c", dead, in(runtimeapi.ContainerState_CONTAINER_EXITED)))
	p, _ = p.Merge(event(started, "c", ready, in(runtimeapi.ContainerState_CONTAINER_RUNNING)))
	if p.Latest("main").State != Exited || p.ReadySandbox() != nil {
		t.Errorf("a late event raised the dead: %+v", p)
	}
	if _, full := p.Merge(event(stopped, "other", ready)); full {
		t.Error("an event that does not show its container counts as full")
	}
	if _, full := p.Merge(event(deleted, "c", ready)); full {
		t.Error("a deletion counts as full")
	}
}
