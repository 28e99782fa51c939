package scheduler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/scheduler/framework"
	"minato.dev/minato/internal/scheduler/plugins"
)

// BenchmarkDecide is one pod over a thousand nodes with the images that nodes report.
func BenchmarkDecide(b *testing.B) {
	s := newState()
	for i := range 1000 {
		size := corev1.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("256Gi"), "pods": resource.MustParse("110")}
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{"pool": "made-up"}},
			Status: corev1.NodeStatus{Allocatable: size}}
		for k := range 50 {
			n.Status.Images = append(n.Status.Images, corev1.ContainerImage{SizeBytes: 1 << 26,
				Names: []string{fmt.Sprintf("registry.example/app-%d@sha256:0123456789abcdef", k), fmt.Sprintf("registry.example/app-%d:1", k)}})
		}
		s.node(nil, n)
	}
	asks := corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.PodSpec{NodeSelector: map[string]string{"pool": "made-up"},
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers:  []corev1.Container{{Image: "registry.example/web:1", Resources: asks}, {Image: "registry.example/app-7:1", Resources: asks}}}}
	draw := rand.New(rand.NewPCG(1, 2))
	all := plugins.Default()
	for b.Loop() {
		p := framework.NewPod(pod)
		v := s.decide(p, nil, func(c framework.Cluster) Verdict { return decide(p, c, all, draw) })
		if v.Node == "" {
			b.Fatal(v.Message())
		}
	}
}
