package controllers_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/client"
)

// The names are those that kube-controller-manager v1.37.2 gave to the same objects: a cluster that is taken over, either way,
// has them already.
func TestNamesAreUpstreams(t *testing.T) {
	h := open(t)
	one, port := int32(1), intstr.FromInt32(80)
	limit := resource.MustParse("1Mi")
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}, Annotations: map[string]string{"note": "a <b> & c"}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Image: "box:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}}, Ports: []corev1.ContainerPort{{ContainerPort: 80}},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("1Gi")},
					Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: port}}}}},
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}}},
		}}
	meta, sel := metav1.ObjectMeta{Namespace: "default", Name: "d"}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}
	_, err := client.Of(h.c, client.Deployments).Create(t.Context(), &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: sel, Template: template}})
	h.must(err)
	_, err = client.Of(h.c, client.DaemonSets).Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: sel, Template: template}})
	h.must(err)
	_, err = client.Of(h.c, client.StatefulSets).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{ServiceName: "none", Replicas: &one, Selector: sel, Template: template}})
	h.must(err)
	want := map[string]string{"Deployment": "d-7b6c846687", "DaemonSet": "d-7b6c846687", "StatefulSet": "d-65df7dc476"}
	h.until("upstream's names", func() (bool, string) {
		got := map[string]string{}
		sets, _, err := client.Of(h.c, client.ReplicaSets).List(t.Context(), "default", metav1.ListOptions{})
		h.must(err)
		for _, rs := range sets {
			got[metav1.GetControllerOf(rs).Kind] = rs.Name
		}
		revisions, _, err := client.Of(h.c, client.ControllerRevisions).List(t.Context(), "default", metav1.ListOptions{})
		h.must(err)
		for _, r := range revisions {
			got[metav1.GetControllerOf(r).Kind] = r.Name
		}
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprint(got)
	})
}
