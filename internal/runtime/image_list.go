package runtime

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
)

// ListImages returns the images of this node, or the one that the filter names.
func (s *Server) ListImages(_ context.Context, r *api.ListImagesRequest) (*api.ListImagesResponse, error) {
	return &api.ListImagesResponse{Images: s.listImages(r.GetFilter())}, nil
}

// StreamImages is ListImages in pieces.
func (s *Server) StreamImages(r *api.StreamImagesRequest, st grpc.ServerStreamingServer[api.StreamImagesResponse]) error {
	return inPieces(s.listImages(r.GetFilter()), func(part []*api.Image) error {
		return st.Send(&api.StreamImagesResponse{Images: part})
	})
}

func (s *Server) listImages(f *api.ImageFilter) []*api.Image {
	all := s.cfg.Images.List()
	if ref := f.GetImage().GetImage(); ref != "" {
		img, ok := s.cfg.Images.Resolve(ref)
		if !ok {
			return nil
		}
		all = []image.Image{img}
	}
	var out []*api.Image
	for _, img := range all {
		out = append(out, asImage(img))
	}
	return out
}

// asImage puts the user where CRI wants it: a number as uid, anything else as a name. An image that no registry could
// give back is pinned too, so that no kubelet collects it.
func asImage(img image.Image) *api.Image {
	out := &api.Image{Id: img.ID, RepoTags: img.Names, RepoDigests: img.Digests, Size: uint64(max(img.Size, 1)), Pinned: img.Pinned || img.Local,
		Spec: &api.ImageSpec{Image: img.ID}}
	user, _, _ := strings.Cut(img.User(), ":")
	if uid, err := strconv.ParseInt(user, 10, 64); err == nil {
		out.Uid = &api.Int64Value{Value: uid}
	} else {
		out.Username = user
	}
	return out
}
