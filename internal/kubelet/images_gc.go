package kubelet

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/machine"
)

// When the file system of the images is fuller than the first, unused images are removed until it is at the second, in
// percent. An image that was seen for the first time less than imageAge ago stays.
const (
	fullDisk    = 85
	enoughDisk  = 80
	imageAge    = 2 * time.Minute
	imagePeriod = 5 * time.Minute
)

// imageUse is what the collector remembers of an image.
type imageUse struct{ found, used time.Time }

// collectImages removes images that no container uses, the longest unused first, while the disk is too full.
func (k *Kubelet) collectImages(ctx context.Context, now time.Time) error {
	if now.Sub(k.self.collected) < imagePeriod {
		return nil
	}
	k.self.collected = now
	list, err := k.noteImages(ctx, now)
	if err != nil {
		return err
	}
	used, size, err := machine.Fill(k.imageDir)
	if err != nil || used*100 < size*fullDisk {
		return err
	}
	need := used - size*enoughDisk/100
	freed, err := k.removeImages(ctx, list, need)
	if err == nil && freed < need {
		k.rec.EventOn(k.nodeRef(), corev1.EventTypeWarning, "FreeDiskSpaceFailed", "Failed to garbage collect required amount of images. Attempted to free %d bytes, but only found %d bytes eligible to free.", need, freed)
	}
	return err
}

// removeUnusedImages removes every image that may go.
func (k *Kubelet) removeUnusedImages(ctx context.Context, now time.Time) error {
	list, err := k.noteImages(ctx, now)
	if err != nil {
		return err
	}
	_, err = k.removeImages(ctx, list, math.MaxInt64)
	return err
}

// removeImages removes images in this order until so many bytes are free.
func (k *Kubelet) removeImages(ctx context.Context, list []*runtimeapi.Image, need int64) (freed int64, err error) {
	for _, i := range list {
		if freed >= need {
			return freed, nil
		}
		if _, err := k.cfg.CRI.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: i.Id}}); err != nil {
			return freed, err
		}
		freed += int64(i.Size)
		k.cfg.Log.Info("removed an unused image, the disk is full", "image", i.Id, "bytes", i.Size)
	}
	return freed, nil
}

// noteImages brings the memory of images up to date and returns those that may go, the longest unused first.
func (k *Kubelet) noteImages(ctx context.Context, now time.Time) ([]*runtimeapi.Image, error) {
	images, err := k.cfg.CRI.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, err
	}
	containers, err := k.cfg.CRI.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	inUse := map[string]bool{}
	for _, c := range containers.Containers {
		inUse[c.ImageRef], inUse[c.ImageId], inUse[c.Image.GetImage()] = true, true, true
	}
	next := map[string]imageUse{}
	var free []*runtimeapi.Image
	for _, i := range images.Images {
		u, known := k.self.uses[i.Id]
		if !known {
			u.found = now
		}
		busy := i.Pinned || inUse[i.Id] || slices.ContainsFunc(append(slices.Clone(i.RepoTags), i.RepoDigests...), func(n string) bool { return inUse[n] })
		if busy {
			u.used = now
		} else if now.Sub(u.found) >= imageAge {
			free = append(free, i)
		}
		next[i.Id] = u
	}
	k.self.uses = next
	slices.SortFunc(free, func(a, b *runtimeapi.Image) int {
		return cmp.Or(next[a.Id].used.Compare(next[b.Id].used), next[a.Id].found.Compare(next[b.Id].found))
	})
	return free, nil
}

// findImages asks the runtime where its images are. A runtime that cannot tell has them where the kubelet's files are.
func (k *Kubelet) findImages(ctx context.Context) string {
	info, err := k.cfg.CRI.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
	if err == nil && len(info.ImageFilesystems) > 0 && info.ImageFilesystems[0].FsId.GetMountpoint() != "" {
		return info.ImageFilesystems[0].FsId.Mountpoint
	}
	return k.cfg.RootDir
}
