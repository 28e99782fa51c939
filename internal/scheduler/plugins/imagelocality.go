package plugins

import (
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/scheduler/framework"
)

// ImageLocality prefers nodes that have the pod's images already.
type ImageLocality struct{}

// Name is upstream's.
func (ImageLocality) Name() string { return "ImageLocality" }

// Weight is upstream's.
func (ImageLocality) Weight() int64 { return 1 }

// Upstream's bounds between which the bytes already present are scaled: 23 MiB, and 1,000 MiB a container.
const (
	minPresent         = 23 << 20
	maxPresentEach     = 1000 << 20
	defaultTag         = ":latest"
	defaultDockerHub   = "docker.io/"
	defaultDockerHubNS = "docker.io/library/"
)

// Score scales the bytes of the pod's images on the node.
func (ImageLocality) Score(p *framework.Pod, n *framework.Node) int64 {
	sum := int64(0)
	for i := range p.Spec.Containers {
		sum += present(n.Node, p.Spec.Containers[i].Image)
	}
	most := int64(maxPresentEach) * int64(len(p.Spec.Containers))
	sum = min(max(sum, minPresent), most)
	return 100 * (sum - minPresent) / (most - minPresent)
}

func present(n *corev1.Node, image string) int64 {
	for _, have := range n.Status.Images {
		for _, name := range have.Names {
			switch name {
			case image, image + defaultTag, defaultDockerHub + image, defaultDockerHubNS + image,
				defaultDockerHub + image + defaultTag, defaultDockerHubNS + image + defaultTag:
				return have.SizeBytes
			}
		}
	}
	return 0
}
