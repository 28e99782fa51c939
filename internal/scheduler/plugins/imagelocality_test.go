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
	with := func(list ...corev1.ContainerImage) *framework.Node {
		return framework.NewNode(&corev1.Node{Status: corev1.NodeStatus{Images: list}})
	}
	nginx := corev1.ContainerImage{Names: []string{"docker.io/library/nginx:latest"}, SizeBytes: 523 << 20}
	web := corev1.ContainerImage{Names: []string{"registry.example/web:1"}, SizeBytes: 400 << 20}
	c := framework.Cluster{Nodes: []*framework.Node{with(nginx, web), with(nginx)}, Images: &framework.ImageIndex{}}
	for _, n := range c.Nodes {
		c.Images.Change(nil, n)
	}
	for image, want := range map[string][]int64{"nginx": {51, 51}, "registry.example/web:1": {18, 0}} {
		p := framework.NewPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}})
		judge, ok := ImageLocality{}.Prepare(p, c).(framework.Scorer)
		if !ok {
			t.Fatal("no scorer")
		}
		for i, n := range c.Nodes {
			if got := judge.Score(p, n); got != want[i] {
				t.Errorf("%s on node %d: %d, want %d", image, i, got, want[i])
			}
		}
	}
	nowhere := framework.NewPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "registry.example/web:2"}}}})
	if (ImageLocality{}).Prepare(nowhere, c) != nil {
		t.Error("an image that no node has makes a difference")
	}
	c.Images.Change(c.Nodes[0], nil)
	if n := c.Images.Nodes(framework.NewImageName("docker.io/library/nginx:latest")); n != 1 {
		t.Errorf("%d nodes have the image after one has gone", n)
	}
}
