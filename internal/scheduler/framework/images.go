package framework

import (
	"cmp"
	"hash/maphash"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// images finds a node's image by name: its names by their hash, in order. A map of strings would hold several times as
// much, for every node.
type images []imageName

type imageName struct {
	hash uint64
	at   int32 // in the node's status
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
	out := make(images, 0, 2*len(n.Status.Images))
	for i := range n.Status.Images {
		for _, name := range n.Status.Images[i].Names {
			out = append(out, imageName{maphash.String(seed, name), int32(i)})
		}
	}
	slices.SortFunc(out, func(a, b imageName) int { return cmp.Compare(a.hash, b.hash) })
	return out
}

// ImageSize returns the bytes of an image on the node, 0 where it is not there.
func (n *Node) ImageSize(image ImageName) int64 {
	i, _ := slices.BinarySearchFunc(n.images, image.hash, func(have imageName, hash uint64) int { return cmp.Compare(have.hash, hash) })
	for ; i < len(n.images) && n.images[i].hash == image.hash; i++ {
		if have := n.Status.Images[n.images[i].at]; slices.Contains(have.Names, image.name) {
			return have.SizeBytes
		}
	}
	return 0
}
