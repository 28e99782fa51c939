package kubelet_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

func TestMisplaced(t *testing.T) {
	b := start(t)
	hostPort := func(n int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: n}}
		}
	}
	selects := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "fast"} }
	b.create(pod("first", hostPort(4711)))
	b.until("first", "Ready", isReady)
	b.create(pod("second", hostPort(4711)))
	b.create(pod("third", hostPort(4712)))
	b.create(pod("picky", selects))
	b.create(pod("claims", func(p *corev1.Pod) {
		name := "c"
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: &name}}
		p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	}))
	for name, want := range map[string][2]string{
		"second": {"NodePorts", "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
		"picky":  {"NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"claims": {"UnexpectedAdmissionError", `Pod was rejected: this node has no dynamic resource allocation: it cannot prepare the resource claim "gpu"`},
	} {
		p := b.until(name, "Failed", phase(corev1.PodFailed))
		if got := [2]string{p.Status.Reason, p.Status.Message}; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	b.until("third", "Ready", isReady)
	if _, err := client.Of(b.api.Client, client.Nodes).Patch(t.Context(), "", "n1", types.MergePatchType, []byte(`{"metadata":{"labels":{"disk":"fast"}}}`)); err != nil {
		t.Fatal(err)
	}
	b.create(pod("content", selects))
	b.until("content", "Ready", isReady)
}

func TestCriticalPodMakesRoom(t *testing.T) {
	b := start(t)
	n, err := client.Of(b.api.Client, client.Nodes).Get(t.Context(), "", "n1")
	if err != nil {
		t.Fatal(err)
	}
	most := fmt.Sprint(n.Status.Allocatable.Cpu().MilliValue()-100, "m")
	b.create(pod("usual", asks(most, "10Mi")))
	b.until("usual", "Ready", isReady)
	b.create(pod("late", asks("200m", "10Mi")))
	if p := b.until("late", "Failed", phase(corev1.PodFailed)); p.Status.Reason != "OutOfcpu" {
		t.Errorf("reason is %s", p.Status.Reason)
	}
	b.create(pod("vital", asks("200m", "10Mi"), func(p *corev1.Pod) {
		priority := int32(2_000_001_000) // the bench's API server has no admission to fill it in
		p.Spec.PriorityClassName, p.Spec.Priority = "system-node-critical", &priority
	}))
	b.until("vital", "Ready", isReady)
	p := b.until("usual", "Failed", phase(corev1.PodFailed))
	if c := condition(p, corev1.DisruptionTarget); p.Status.Reason != "Preempting" || c == nil || c.Message != "Pod was preempted by Kubelet to accommodate a critical pod." {
		t.Errorf("status is %+v", p.Status)
	}
	b.event("usual", "Preempting: Preempted in order to admit critical pod")
}
