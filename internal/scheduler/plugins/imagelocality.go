package plugins

import (
	"iter"
	"strings"

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

// locality is ImageLocality for one pod.
type locality struct {
	ImageLocality
	images [][]spreadImage // that some node has: for each, the names that it may have there
	nodes  int64           // in the cluster
	most   int64           // bytes from which on more is not better
}

// spreadImage is an image by one of its names, and how many nodes have it.
type spreadImage struct {
	framework.ImageName
	nodes int64
}

// Prepare works out the names once for all nodes.
func (ImageLocality) Prepare(p *framework.Pod, c framework.Cluster) framework.Plugin {
	l := &locality{nodes: int64(len(c.Nodes))}
	for image := range images(p) {
		l.most += maxPresentEach
		var names []spreadImage
		for _, text := range imageNames(image) {
			name := framework.NewImageName(text)
			if nodes := c.Images.Nodes(name); nodes > 0 {
				names = append(names, spreadImage{name, int64(nodes)})
			}
		}
		if len(names) > 0 {
			l.images = append(l.images, names)
		}
	}
	if len(l.images) == 0 {
		return nil
	}
	return l
}

// images are those of a pod's containers and image volumes.
func images(p *framework.Pod) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
			for i := range list {
				if !yield(list[i].Image) {
					return
				}
			}
		}
		for i := range p.Spec.Volumes {
			if v := p.Spec.Volumes[i].Image; v != nil && !yield(v.Reference) {
				return
			}
		}
	}
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

// Score scales the bytes of the pod's images on the node, each by the share of nodes that have it, so that pods do not all
// heap up on the few that have pulled an image first.
func (l *locality) Score(_ *framework.Pod, n *framework.Node) int64 {
	sum := int64(0)
	for _, names := range l.images {
		for _, name := range names {
			if size := n.ImageSize(name.ImageName); size > 0 {
				sum += size * name.nodes / l.nodes
				break
			}
		}
	}
	sum = min(max(sum, minPresent), l.most)
	return 100 * (sum - minPresent) / (l.most - minPresent)
}
