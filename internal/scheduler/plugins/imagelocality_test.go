package plugins

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/scheduler/framework"
)

func TestImageNames(t *testing.T) {
	for image, want := range map[string][]string{
		"registry.example/team/web:1.27": {"registry.example/team/web:1.27"},
		"registry.example:5000/web":      {"registry.example:5000/web", "registry.example:5000/web:latest"},
		"localhost/web:1":                {"localhost/web:1"},
		"nginx:1":                        {"nginx:1", "docker.io/nginx:1", "docker.io/library/nginx:1"},
		"team/web":                       {"team/web", "team/web:latest", "docker.io/team/web", "docker.io/team/web:latest"},
		"nginx": {"nginx", "nginx:latest", "docker.io/nginx", "docker.io/nginx:latest", "docker.io/library/nginx",
			"docker.io/library/nginx:latest"},
	} {
		if got := imageNames(image); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

func TestImageLocality(t *testing.T) {
	n := framework.NewNode(&corev1.Node{Status: corev1.NodeStatus{Images: []corev1.ContainerImage{
		{Names: []string{"docker.io/library/nginx:latest"}, SizeBytes: 523 << 20}, {Names: []string{"registry.example/web:1"}, SizeBytes: 100 << 20}}}})
	for image, want := range map[string]int64{"nginx": 51, "registry.example/web:1": 7, "registry.example/web:2": 0} {
		p := framework.NewPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}})
		judge, ok := ImageLocality{}.Prepare(p, framework.Cluster{}).(framework.Scorer)
		if !ok {
			t.Fatal("no scorer")
		}
		if got := judge.Score(p, n); got != want {
			t.Errorf("%s: %d, want %d", image, got, want)
		}
	}
}
