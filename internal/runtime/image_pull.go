package runtime

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
)

// PullImage brings an image to this node and answers with its id. The registry's own words are in the error.
func (s *Server) PullImage(ctx context.Context, r *api.PullImageRequest) (*api.PullImageResponse, error) {
	ref := r.GetImage().GetImage()
	if ref == "" {
		return nil, invalid("pull image: image is empty")
	}
	img, err := s.cfg.Images.Pull(ctx, image.PullRequest{Ref: ref, Auth: pullAuth(r.GetAuth())})
	if errors.Is(err, image.ErrUnavailable) {
		return nil, &coded{codes.Unavailable, "RegistryUnavailable: " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return &api.PullImageResponse{ImageRef: img.ID}, nil
}

// pullAuth is nil for an anonymous pull.
func pullAuth(a *api.AuthConfig) *image.Auth {
	if a == nil {
		return nil
	}
	return &image.Auth{Username: a.GetUsername(), Password: a.GetPassword(), Auth: a.GetAuth(), ServerAddress: a.GetServerAddress(),
		IdentityToken: a.GetIdentityToken(), RegistryToken: a.GetRegistryToken()}
}
