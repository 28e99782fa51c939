package runtime

import (
	"context"
	"encoding/json"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ImageStatus returns one image; a missing one is an empty answer, not an error.
func (s *Server) ImageStatus(_ context.Context, r *api.ImageStatusRequest) (*api.ImageStatusResponse, error) {
	if r.GetImage().GetImage() == "" {
		return nil, invalid("image status: image is empty")
	}
	img, ok := s.cfg.Images.Resolve(r.GetImage().GetImage())
	if !ok {
		return &api.ImageStatusResponse{}, nil
	}
	resp := &api.ImageStatusResponse{Image: asImage(img)}
	if r.GetVerbose() {
		info, err := json.Marshal(map[string]any{"chain": img.Chain, "imageSpec": img.Config})
		if err != nil {
			return nil, err
		}
		resp.Info = map[string]string{"info": string(info)}
	}
	return resp, nil
}
