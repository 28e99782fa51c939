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

// BenchmarkSacrifices is making room for one pod among a thousand full nodes of thirty pods each, a hundred of which are
// offered: by what it asks for alone, and where it is to be spread as well.
func BenchmarkSacrifices(b *testing.B) {
	nodes := map[string]*framework.Node{}
	var shapes framework.Shapes
	for i := range 1000 {
		name := fmt.Sprintf("n%d", i)
		n := node(name, zone(fmt.Sprint(i%3)), func(n *corev1.Node) {
			n.Status.Allocatable = corev1.ResourceList{"cpu": resource.MustParse("30"), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")}
		})
		for k := range 30 {
			n.Add(shapes.Place(framework.NewPod(pod(named(fmt.Sprintf("p%d-%d", i, k)), labelled([]string{"web", "db"}[min(k, 1)]), weighs(1), asks("1")))))
		}
		nodes[name] = n
	}
	c := cluster(nodes)
	for name, change := range map[string]func(*corev1.Pod){"plain": func(*corev1.Pod) {}, "spread": spread(5, nil)} {
		b.Run(name, func(b *testing.B) {
			p := framework.NewPod(pod(named("x"), labelled("web"), weighs(10), asks("1"), change))
			all := plugins.Default()
			v := decide(p, c, all, nil)
			for b.Loop() {
				if list := sacrifices(p, c, v, all, nil); len(list) != 100 || len(list[0].victims) != 1 {
					b.Fatal(len(list))
				}
			}
		})
	}
}
