package runtime

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// GetContainerEvents tells what happens to sandboxes and containers from now on, each with the state of the whole pod.
// A client that falls far behind gets OutOfRange and should list and call again.
func (s *Server) GetContainerEvents(_ *api.GetEventsRequest, st grpc.ServerStreamingServer[api.ContainerEventResponse]) error {
	c := s.events.listen()
	defer s.events.leave(c)
	if err := st.SendHeader(nil); err != nil { // a client that waits for it knows that it misses nothing from here on
		return err
	}
	for {
		select {
		case e, ok := <-c:
			if !ok {
				return &coded{codes.OutOfRange, "events were not taken fast enough: list and listen again"}
			}
			if err := st.Send(e); err != nil {
				return err
			}
		case <-st.Context().Done():
			return st.Context().Err()
		}
	}
}

func (s *Server) announceContainer(id string, kind api.ContainerEventType, at time.Time) {
	if c := s.containers.Get(id); c != nil {
		s.events.publish(s.containerEvent(c, kind, at))
	}
}

// containerEvent is nil while nobody listens.
func (s *Server) containerEvent(c *ledger.Container, kind api.ContainerEventType, at time.Time) *api.ContainerEventResponse {
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil || !s.events.anyone() {
		return nil
	}
	return s.event(p, c.ID, kind, at)
}

func (s *Server) announceSandbox(p *ledger.Sandbox, kind api.ContainerEventType, at time.Time) {
	if !s.events.anyone() {
		return
	}
	if now := s.sandboxes.Get(p.ID); now != nil {
		p = now
	}
	s.events.publish(s.event(p, p.ID, kind, at))
}

// event shows the pod as it is at this moment, which may be later than at.
func (s *Server) event(p *ledger.Sandbox, id string, kind api.ContainerEventType, at time.Time) *api.ContainerEventResponse {
	e := &api.ContainerEventResponse{ContainerId: id, ContainerEventType: kind, CreatedAt: at.UnixNano(), PodSandboxStatus: s.sandboxStatus(p)}
	for _, c := range s.containersOf(p.ID) {
		if c.Intent == ledger.Kept {
			e.ContainersStatuses = append(e.ContainersStatuses, s.containerStatus(c))
		}
	}
	return e
}
