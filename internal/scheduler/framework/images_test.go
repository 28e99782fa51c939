package framework

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestImageSize(t *testing.T) {
	o := &corev1.Node{}
	for i := range 50 {
		o.Status.Images = append(o.Status.Images, corev1.ContainerImage{SizeBytes: int64(i + 1),
			Names: []string{fmt.Sprintf("registry.example/app@sha256:%d", i), fmt.Sprintf("registry.example/app:%d", i)}})
	}
	n := NewNode(o)
	for i := range 50 {
		for _, name := range o.Status.Images[i].Names {
			if got := n.ImageSize(NewImageName(name)); got != int64(i+1) {
				t.Errorf("%s: %d", name, got)
			}
		}
	}
	if got := n.ImageSize(NewImageName("registry.example/other:1")); got != 0 {
		t.Errorf("an image that is not there has %d bytes", got)
	}
	n.SetNode(&corev1.Node{})
	if got := n.ImageSize(NewImageName("registry.example/app:1")); got != 0 {
		t.Errorf("an image that has gone has %d bytes", got)
	}
}
