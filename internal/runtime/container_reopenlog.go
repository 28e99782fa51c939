package runtime

import (
	"context"
	"fmt"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ReopenContainerLog opens the log anew at its path, after the kubelet has moved the old file away.
func (s *Server) ReopenContainerLog(ctx context.Context, r *api.ReopenContainerLogRequest) (*api.ReopenContainerLogResponse, error) {
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := s.shim.Load().ReopenLog(ctx, c.ID); err != nil {
		return nil, fmt.Errorf("reopen log of container %s: %w", c.ID, err)
	}
	return &api.ReopenContainerLogResponse{}, nil
}
