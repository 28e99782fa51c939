package runtime

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ListPodSandbox returns the sandboxes, the oldest first. One that is still being made is not ready: a client that gave its
// RunPodSandbox up sees it and can remove it, which waits for the verb.
func (s *Server) ListPodSandbox(_ context.Context, r *api.ListPodSandboxRequest) (*api.ListPodSandboxResponse, error) {
	return &api.ListPodSandboxResponse{Items: s.listSandboxes(r.GetFilter())}, nil
}

// StreamPodSandboxes is ListPodSandbox in pieces, for lists that pass gRPC's limit.
func (s *Server) StreamPodSandboxes(r *api.StreamPodSandboxesRequest, st grpc.ServerStreamingServer[api.StreamPodSandboxesResponse]) error {
	return inPieces(s.listSandboxes(r.GetFilter()), func(part []*api.PodSandbox) error {
		return st.Send(&api.StreamPodSandboxesResponse{PodSandboxes: part})
	})
}

func (s *Server) listSandboxes(f *api.PodSandboxFilter) []*api.PodSandbox {
	var out []*api.PodSandbox
	for _, rec := range s.sandboxes.All() {
		c := rec.Config.PodSandboxConfig
		if !strings.HasPrefix(rec.ID, f.GetId()) || !matches(c.GetLabels(), f.GetLabelSelector()) {
			continue
		}
		state := s.sandboxState(rec)
		if f.GetState() != nil && f.GetState().GetState() != state {
			continue
		}
		out = append(out, &api.PodSandbox{Id: rec.ID, Metadata: c.GetMetadata(), State: state, CreatedAt: rec.Created.UnixNano(),
			Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: rec.Handler})
	}
	slices.SortFunc(out, func(a, b *api.PodSandbox) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) })
	return out
}

// piece is how many items one message of a streamed list carries.
const piece = 500

// inPieces sends all in messages of a bounded size. An empty list is one empty message less than nothing: none.
func inPieces[T any](all []T, send func([]T) error) error {
	for part := range slices.Chunk(all, piece) {
		if err := send(part); err != nil {
			return err
		}
	}
	return nil
}
