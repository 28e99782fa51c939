package framework

import (
	"cmp"
	"hash/maphash"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
)

// images finds a node's image by name: its names by their hash, in order. A map of strings would hold several times as
// much, for every node, and nodes have many images in common.
type images []imageName

type imageName struct {
	hash uint64
	name unique.Handle[string]
	size int64
}

// seed makes the hashes of this process.
var seed = maphash.MakeSeed()

// An ImageName is a name that is looked for on many nodes.
type ImageName struct {
	name string
	hash uint64
}

// NewImageName works out what is the same for every node.
func NewImageName(name string) ImageName { return ImageName{name, maphash.String(seed, name)} }

func newImages(n *corev1.Node) images {
	count := 0
	for i := range n.Status.Images {
		count += len(n.Status.Images[i].Names)
	}
	out := make(images, 0, count)
	for i := range n.Status.Images {
		for _, name := range n.Status.Images[i].Names {
			out = append(out, imageName{maphash.String(seed, name), unique.Make(name), n.Status.Images[i].SizeBytes})
		}
	}
	slices.SortStableFunc(out, func(a, b imageName) int { return cmp.Compare(a.hash, b.hash) })
	return out
}

// ImageSize returns the bytes of an image on the node, 0 where it is not there.
func (n *Node) ImageSize(image ImageName) int64 {
	i, _ := slices.BinarySearchFunc(n.images, image.hash, func(have imageName, hash uint64) int { return cmp.Compare(have.hash, hash) })
	for ; i < len(n.images) && n.images[i].hash == image.hash; i++ {
		if n.images[i].name.Value() == image.name {
			return n.images[i].size
		}
	}
	return 0
}

// ImageIndex counts the nodes that have an image of a name. The zero value is ready; it is not safe for concurrent use.
type ImageIndex struct{ nodes map[uint64]int }

// Nodes is how many have it.
func (x *ImageIndex) Nodes(image ImageName) int { return x.nodes[image.hash] }

// Change takes a node's images in exchange for those that it had; nil stands for no node.
func (x *ImageIndex) Change(old, new *Node) {
	if x.nodes == nil {
		x.nodes = map[uint64]int{}
	}
	if new != nil {
		x.count(new.images, 1)
	}
	if old != nil {
		x.count(old.images, -1)
	}
}

func (x *ImageIndex) count(list images, sign int) {
	for i := range list {
		if n := x.nodes[list[i].hash] + sign; n > 0 {
			x.nodes[list[i].hash] = n
		} else {
			delete(x.nodes, list[i].hash)
		}
	}
}
