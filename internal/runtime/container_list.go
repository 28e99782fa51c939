package runtime

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// ListContainers returns the containers that the client knows of, the oldest first.
func (s *Server) ListContainers(_ context.Context, r *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	return &api.ListContainersResponse{Containers: s.listContainers(r.GetFilter())}, nil
}

// StreamContainers is ListContainers in pieces.
func (s *Server) StreamContainers(r *api.StreamContainersRequest, st grpc.ServerStreamingServer[api.StreamContainersResponse]) error {
	return inPieces(s.listContainers(r.GetFilter()), func(part []*api.Container) error {
		return st.Send(&api.StreamContainersResponse{Containers: part})
	})
}

func (s *Server) listContainers(f *api.ContainerFilter) []*api.Container {
	var out []*api.Container
	for _, c := range s.selectContainers(f.GetId(), f.GetPodSandboxId(), f.GetLabelSelector()) {
		if f.GetState() != nil && f.GetState().GetState() != c.State() {
			continue
		}
		_, ref := s.imageNames(c)
		out = append(out, &api.Container{Id: c.ID, PodSandboxId: c.Sandbox, Metadata: c.Config.GetMetadata(), Image: c.Config.GetImage(),
			ImageRef: ref, ImageId: c.ImageID, State: c.State(), CreatedAt: c.Created.UnixNano(),
			Labels: c.Config.GetLabels(), Annotations: c.Config.GetAnnotations()})
	}
	return out
}

// selectContainers are those that the client knows and a filter lets through. Ids may be shortened.
func (s *Server) selectContainers(id, sandbox string, labels map[string]string) []*ledger.Container {
	var out []*ledger.Container
	for _, c := range s.containers.All() {
		if c.Intent != ledger.Making && strings.HasPrefix(c.ID, id) && strings.HasPrefix(c.Sandbox, sandbox) && matches(c.Config.GetLabels(), labels) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *ledger.Container) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return slices.Clip(out)
}
