package framework

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPlaceKeepsWhatOthersAskFor(t *testing.T) {
	priority, started := int32(7), metav1.NewTime(time.Unix(100, 0))
	affinity := &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-1", Labels: map[string]string{"app": "web"}, DeletionTimestamp: &started},
		Spec: corev1.PodSpec{Priority: &priority, Affinity: affinity, Containers: []corev1.Container{{
			Ports:     []corev1.ContainerPort{{HostPort: 80, Protocol: corev1.ProtocolTCP}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m")}}}}},
		Status: corev1.PodStatus{StartTime: &started}}
	var s Shapes
	got := s.Place(NewPod(p))
	if got.Namespace != "ns" || got.Name != "web-1" || got.Key() != "ns/web-1" || !got.Leaving || !got.Started.Equal(started.Time) {
		t.Errorf("identity and times: %+v", got)
	}
	if got.Labels["app"] != "web" || got.Requests.CPU != 100 || got.NonZero.Memory != defaultMemory || len(got.Ports) != 1 || got.Priority != 7 || got.Affinity != affinity {
		t.Errorf("shape: %+v", got.Shape)
	}
}

// TestShapesAreShared: pods of one template share; any difference that a plugin could see keeps them apart, however many
// shapes came between.
func TestShapesAreShared(t *testing.T) {
	base := func() *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m")}}}}}}
	}
	one := int32(1)
	differ := map[string]func(*corev1.Pod){
		"labels":   func(p *corev1.Pod) { p.Labels["app"] = "other" },
		"requests": func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("1") },
		"ports":    func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} },
		"priority": func(p *corev1.Pod) { p.Spec.Priority = &one },
		"affinity": func(p *corev1.Pod) { p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}} },
	}
	var s Shapes
	first := s.Place(NewPod(base())).Shape
	for name, change := range differ {
		p := base()
		change(p)
		if s.Place(NewPod(p)).Shape == first {
			t.Errorf("pods with other %s share a shape", name)
		}
	}
	if s.Place(NewPod(base())).Shape != first {
		t.Error("pods of one template do not share")
	}
	for i := range 10 * shapesKept {
		p := base()
		p.Labels["i"] = fmt.Sprint(i)
		if got := s.Place(NewPod(p)); got.Labels["i"] != fmt.Sprint(i) {
			t.Fatalf("pod %d has the labels of another: %v", i, got.Labels)
		}
	}
	if len(s.lately) != shapesKept {
		t.Errorf("%d shapes are kept, want %d", len(s.lately), shapesKept)
	}
}
