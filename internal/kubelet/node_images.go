package kubelet

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxImages is how many images the node's status lists, the largest first; maxImageNames is how many names of each.
const (
	maxImages     = 50
	maxImageNames = 5
)

// listImages reads the images of the node for its status.
func (k *Kubelet) listImages(ctx context.Context) {
	list, err := k.cfg.CRI.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return // the runtime's condition says it
	}
	slices.SortFunc(list.Images, func(a, b *runtimeapi.Image) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Id, b.Id))
	})
	k.self.images = nil
	for _, i := range list.Images[:min(len(list.Images), maxImages)] {
		names := append(slices.Clone(i.RepoDigests), i.RepoTags...)
		if len(names) > 0 {
			k.self.images = append(k.self.images, corev1.ContainerImage{Names: names[:min(len(names), maxImageNames)], SizeBytes: int64(i.Size)})
		}
	}
}
