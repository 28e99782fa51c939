package runtime

import (
	"context"
	"errors"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
)

// RemoveImage forgets a name or an image. A missing one is no error; one that a container is made of stays, because its
// layers are below the container's root.
func (s *Server) RemoveImage(ctx context.Context, r *api.RemoveImageRequest) (*api.RemoveImageResponse, error) {
	ref := r.GetImage().GetImage()
	if ref == "" {
		return nil, invalid("remove image: image is empty")
	}
	err := s.cfg.Images.Remove(ctx, ref, image.RemoveOptions{InUse: s.ImageInUse})
	if errors.Is(err, image.ErrNotFound) {
		err = nil
	}
	return &api.RemoveImageResponse{}, err
}

// ImageInUse reports whether a container on this node is made of img or mounts it.
func (s *Server) ImageInUse(img image.Image) bool {
	for _, c := range s.containers.All() {
		if c.ImageID == img.ID {
			return true
		}
		for _, m := range c.Config.GetMounts() {
			ref := m.GetImage().GetImage()
			if ref != "" && (ref == img.ID || img.HasName(ref)) {
				return true
			}
		}
	}
	return false
}
