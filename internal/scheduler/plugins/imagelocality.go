package plugins

import (
	"strings"

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

// locality is ImageLocality for one pod.
type locality struct {
	ImageLocality
	images [][]framework.ImageName // for each container: the names that its image may have on a node
}

// Prepare works out the names once for all nodes.
func (ImageLocality) Prepare(p *framework.Pod, _ framework.Cluster) framework.Plugin {
	l := &locality{}
	for i := range p.Spec.Containers {
		var names []framework.ImageName
		for _, name := range imageNames(p.Spec.Containers[i].Image) {
			names = append(names, framework.NewImageName(name))
		}
		l.images = append(l.images, names)
	}
	return l
}

// imageNames are those under which a node may report an image: with the tag that stands for none, and with the registry
// that stands for none.
func imageNames(image string) []string {
	names := []string{image}
	if strings.LastIndex(image, ":") <= strings.LastIndex(image, "/") {
		names = append(names, image+defaultTag)
	}
	first, rest, path := strings.Cut(image, "/")
	if path && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return names
	}
	hub := []string{defaultDockerHub}
	if !path || rest == "" {
		hub = append(hub, defaultDockerHubNS)
	}
	all := names
	for _, h := range hub {
		for _, n := range names {
			all = append(all, h+n)
		}
	}
	return all
}

// Score scales the bytes of the pod's images on the node.
func (l *locality) Score(_ *framework.Pod, n *framework.Node) int64 {
	if len(l.images) == 0 {
		return 0
	}
	sum := int64(0)
	for _, names := range l.images {
		for _, name := range names {
			if size := n.ImageSize(name); size > 0 {
				sum += size
				break
			}
		}
	}
	most := int64(maxPresentEach) * int64(len(l.images))
	sum = min(max(sum, minPresent), most)
	return 100 * (sum - minPresent) / (most - minPresent)
}
