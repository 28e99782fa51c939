package kubelet_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// asks gives the pod's container CPU and memory, requests and limits the same.
func asks(cpu, memory string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: l, Limits: l}
	}
}

// resize asks for other resources of the container main.
func (b *bench) resize(name, cpu, memory string) *corev1.Pod {
	b.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":%[1]q,"memory":%[2]q},"limits":{"cpu":%[1]q,"memory":%[2]q}}}]}}`, cpu, memory)
	p, err := client.Of(b.api.Client, client.Pods).Patch(b.t.Context(), "default", name, types.StrategicMergePatchType, []byte(patch), "resize")
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// has says that the pod's status shows these as granted and as applied, and no resize under way.
func has(cpu, memory string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		if p == nil || len(p.Status.ContainerStatuses) == 0 || condition(p, corev1.PodResizeInProgress) != nil || condition(p, corev1.PodResizePending) != nil {
			return false
		}
		cs := p.Status.ContainerStatuses[0]
		return cs.State.Running != nil && cs.Resources != nil && cs.Resources.Limits.Cpu().Equal(resource.MustParse(cpu)) && cs.Resources.Limits.Memory().Equal(resource.MustParse(memory)) &&
			cs.AllocatedResources.Cpu().Equal(resource.MustParse(cpu)) && p.Status.AllocatedResources.Memory().Equal(resource.MustParse(memory)) &&
			p.Status.Resources != nil && p.Status.Resources.Limits.Memory().Equal(resource.MustParse(memory)) && p.Status.ObservedGeneration == p.Generation
	}
}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func pending(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		c := condition(p, corev1.PodResizePending)
		return c != nil && c.Reason == reason && c.ObservedGeneration == p.Generation
	}
}

func TestResizeInPlace(t *testing.T) {
	b := start(t)
	b.create(pod("p", asks("100m", "40Mi")))
	first := b.until("p", "Ready", isReady)
	b.until("p", "its resources in the status", has("100m", "40Mi"))
	b.resize("p", "150m", "50Mi")
	p := b.until("p", "the resize", has("150m", "50Mi"))
	if p.Status.ContainerStatuses[0].ContainerID != first.Status.ContainerStatuses[0].ContainerID || p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the container was restarted: %+v", p.Status.ContainerStatuses[0])
	}
	b.event("p", `ResizeStarted: Pod resize started: {"containers":[{"name":"main","resources":{"limits":{"cpu":"150m","memory":"50Mi"}`)
	b.event("p", `ResizeCompleted: Pod resize completed: {"containers"`)
	r := b.rt.Containers()[0].Status.Resources.Linux
	if r.CpuQuota != 15000 || r.CpuShares != 153 || r.MemoryLimitInBytes != 50<<20 {
		t.Errorf("the runtime has %v", r)
	}
	b.rt.Exit("main", 1, "")
	b.until("p", "a restart with what it has now", func(p *corev1.Pod) bool {
		return has("150m", "50Mi")(p) && p.Status.ContainerStatuses[0].RestartCount == 1
	})
	if list := b.rt.Containers(); list[len(list)-1].Config.Linux.Resources.MemoryLimitInBytes != 50<<20 {
		t.Errorf("made with %v", list[len(list)-1].Config.Linux.Resources)
	}
}

func TestResizeRestarts(t *testing.T) {
	b := start(t)
	b.create(pod("p", asks("100m", "40Mi"), func(p *corev1.Pod) {
		p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}}
	}))
	b.until("p", "Ready", isReady)
	b.resize("p", "200m", "40Mi")
	p := b.until("p", "more CPU", has("200m", "40Mi"))
	if n := p.Status.ContainerStatuses[0].RestartCount; n != 0 {
		t.Errorf("CPU alone made %d restarts", n)
	}
	b.resize("p", "200m", "80Mi")
	p = b.until("p", "more memory", has("200m", "80Mi"))
	if n := p.Status.ContainerStatuses[0].RestartCount; n != 1 {
		t.Errorf("%d restarts", n)
	}
	b.event("p", "Killing: Container main resize requires restart")
	if c := p.Status.ContainerStatuses[0]; c.State.Waiting != nil {
		t.Errorf("a restart for a resize backs off: %+v", c.State)
	}
}

func TestResizeHasNoRoom(t *testing.T) {
	b := start(t)
	node, err := client.Of(b.api.Client, client.Nodes).Get(t.Context(), "", "n1")
	if err != nil {
		t.Fatal(err)
	}
	whole := node.Status.Allocatable.Cpu().MilliValue()
	b.create(pod("a", asks("100m", "40Mi")))
	b.create(pod("b", asks(fmt.Sprint(whole-200, "m"), "40Mi")))
	b.until("a", "Ready", isReady)
	b.until("b", "Ready", isReady)
	b.resize("a", "150m", "40Mi")
	b.until("a", "the room that is there", has("150m", "40Mi"))
	b.resize("a", "500m", "40Mi")
	p := b.until("a", "Deferred", pending(corev1.PodReasonDeferred))
	if c := condition(p, corev1.PodResizePending); !strings.HasPrefix(c.Message, "Node didn't have enough resource: cpu, requested: 500, used: ") {
		t.Errorf("condition is %+v", c)
	}
	b.event("a", "ResizeDeferred: Pod resize Deferred: {")
	b.stop()
	b.begin()
	if p := b.until("a", "Deferred still", pending(corev1.PodReasonDeferred)); p.Status.ContainerStatuses[0].AllocatedResources.Cpu().MilliValue() != 150 {
		t.Errorf("a restart has granted %v", p.Status.ContainerStatuses[0].AllocatedResources)
	}
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("a", "the room that came free", has("500m", "40Mi"))
}

func TestResizeFailsAndIsTakenBack(t *testing.T) {
	b := start(t)
	b.create(pod("p", asks("100m", "400Mi")))
	b.until("p", "Ready", isReady)
	b.rt.Use("main", 300<<20, 0)
	b.resize("p", "100m", "200Mi")
	p := b.until("p", "the error", func(p *corev1.Pod) bool {
		c := condition(p, corev1.PodResizeInProgress)
		return c != nil && c.Reason == corev1.PodReasonError
	})
	want := fmt.Sprintf(`cannot decrease memory limits: attempting to set container "main" memory limit (%d) below current usage (%d)`, 200<<20, 300<<20)
	if c := condition(p, corev1.PodResizeInProgress); c.Message != want {
		t.Errorf("message is %q", c.Message)
	}
	b.event("p", "ResizeError: Pod resize error: ")
	b.resize("p", "100m", "400Mi")
	b.until("p", "its old resources", has("100m", "400Mi"))
}

// What was asked for while nobody was there is granted, or refused, at the next start.
func TestResizeWhileAway(t *testing.T) {
	b := start(t)
	b.create(pod("p", asks("100m", "40Mi")))
	b.until("p", "the resources in the status", has("100m", "40Mi"))
	b.stop()
	b.resize("p", "200m", "60Mi")
	b.begin()
	p := b.until("p", "the resize", has("200m", "60Mi"))
	if p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("restarted: %+v", p.Status.ContainerStatuses[0])
	}
}
