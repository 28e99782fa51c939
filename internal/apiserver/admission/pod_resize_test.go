package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestPodResize(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
	}
	node := &corev1.Node{ObjectMeta: named("", "n"), Status: corev1.NodeStatus{Allocatable: list("2", "4Gi")}}
	windows := node.DeepCopy()
	windows.Name, windows.Labels = "w", map[string]string{corev1.LabelOSStable: "windows"}
	able := node.DeepCopy()
	able.Name, able.Status.DeclaredFeatures = "able", []string{"InPlacePodLevelResourcesVerticalScaling", "InPlacePodVerticalScalingInitContainers"}
	w := plain().With(nodes, node, windows, able)
	for _, c := range []struct {
		what   string
		change func(*corev1.Pod)
		err    string
	}{
		{"fits", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list("2", "1Gi") }, ""},
		{"too much", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list("3", "8Gi") },
			"node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000; memory, requested: 8589934592, allocatable: 4294967296"},
		{"unbound", func(p *corev1.Pod) {
			p.Spec.NodeName, p.Spec.Containers[0].Resources.Requests = "", list("3", "8Gi")
		}, ""},
		{"unchanged", func(p *corev1.Pod) { p.Generation, p.Spec.Containers[0].Resources.Requests = 1, list("3", "8Gi") }, ""},
		{"no node", func(p *corev1.Pod) { p.Spec.NodeName = "gone" }, `node "gone" not found`},
		{"windows", func(p *corev1.Pod) { p.Spec.NodeName = "w" }, `pod resize is only supported on linux nodes, node "w" is "windows"`},
		{"pod level", func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("1", "1Gi")} },
			`pod update requires features InPlacePodLevelResourcesVerticalScaling which are not available on node "n"`},
		{"pod level, able", func(p *corev1.Pod) {
			p.Spec.NodeName, p.Spec.Resources = "able", &corev1.ResourceRequirements{Requests: list("1", "1Gi")}
		}, ""},
		{"init", func(p *corev1.Pod) { p.Spec.InitContainers[0].Resources.Requests = list("1", "1Gi") },
			`pod update requires features InPlacePodVerticalScalingInitContainers which are not available on node "n"`},
	} {
		was := pod(func(p *corev1.Pod) {
			p.Spec.NodeName, p.Generation = "n", 1
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "i"}}
		})
		now := was.DeepCopy()
		now.Generation = 2
		c.change(now)
		expect(t, c.what, run(w, update(pods, "resize", now, was)), c.err)
	}
}
