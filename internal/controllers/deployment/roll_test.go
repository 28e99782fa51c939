package deployment

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A rollout from image a to image b stands still while the Deployment of 10 pods, of which 3 may be too many and 2 too few,
// gets another size.
func TestScaleInTheMiddleOfARollout(t *testing.T) {
	surge, unavailable := intstr.FromInt32(3), intstr.FromInt32(2)
	labels := map[string]string{"app": "web"}
	template := func(image string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
	}
	set := func(name string, n int32, image string, age time.Duration, annotations map[string]string) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, CreationTimestamp: metav1.NewTime(time.Unix(1800000000, 0).Add(-age))},
			Spec: appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(image)}}
	}
	before := map[string]string{desiredAnnotation: "10", maxAnnotation: "13"}
	for _, c := range []struct {
		name        string
		old, new    int32
		to          int32
		annotations map[string]string
		want        string // old, new
	}{
		{"up, rounded to the nearest", 8, 5, 30, before, "20 13"},
		{"down", 8, 5, 5, before, "5 3"},
		{"of equals the newer grows", 5, 5, 11, before, "5 9"},
		{"of equals the older shrinks", 5, 5, 6, before, "4 5"},
		{"to nothing", 8, 5, 0, before, "0 0"},
		{"without a note of how many there were", 8, 5, 30, map[string]string{desiredAnnotation: "10"}, "20 13"},
	} {
		dep := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &c.to, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template("b"),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}}}}
		dep.Status.Replicas = c.old + c.new
		old, current := set("old", c.old, "a", time.Hour, c.annotations), set("new", c.new, "b", time.Minute, c.annotations)
		p := makePlan(dep, []*appsv1.ReplicaSet{old, current}, func(*appsv1.ReplicaSet) int { return 0 }, time.Unix(1800000000, 0))
		size := func(rs *appsv1.ReplicaSet) int32 {
			if next := p.update[rs]; next != nil {
				return *next.Spec.Replicas
			}
			return *rs.Spec.Replicas
		}
		if got := fmt.Sprint(size(old), size(current)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
