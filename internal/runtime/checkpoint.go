package runtime

import (
	"context"

	"google.golang.org/grpc/codes"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// errNoCheckpoint names the one part of CRI that is not built: it needs CRIU, which is not part of this program.
var errNoCheckpoint = &coded{codes.Unimplemented, "checkpoint and restore are not built: they need CRIU"}

// CheckpointContainer is not built.
func (s *Server) CheckpointContainer(context.Context, *api.CheckpointContainerRequest) (*api.CheckpointContainerResponse, error) {
	return nil, errNoCheckpoint
}

// CheckpointPod is not built.
func (s *Server) CheckpointPod(context.Context, *api.CheckpointPodRequest) (*api.CheckpointPodResponse, error) {
	return nil, errNoCheckpoint
}

// RestorePod is not built.
func (s *Server) RestorePod(context.Context, *api.RestorePodRequest) (*api.RestorePodResponse, error) {
	return nil, errNoCheckpoint
}
