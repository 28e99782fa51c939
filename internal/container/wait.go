package container

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Wait returns the container once it has ended. It returns ErrNotFound where it is gone.
func (e *Engine) Wait(ctx context.Context, c Container) (Container, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events, err := e.Runtime.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		return c, plain(err)
	}
	if _, err := events.Header(); err != nil { // from here on nothing is missed
		return c, plain(err)
	}
	for {
		st, err := e.Runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: c.ID})
		if status.Code(err) == codes.NotFound {
			return c, fmt.Errorf("%w: %s", ErrNotFound, c.Spec.Name)
		}
		if err != nil {
			return c, plain(err)
		}
		if c.see(st.Status); c.Exited() {
			return c, nil
		}
		end, err := untilTold(events, c.ID, c.Sandbox)
		if err != nil {
			return c, plain(err)
		}
		if end != nil { // it may be removed before we ask
			c.see(end)
			return c, nil
		}
	}
}

// untilTold returns at the next news of one of the ids, with the container's end where the news are that.
func untilTold(events interface {
	Recv() (*cri.ContainerEventResponse, error)
}, ids ...string) (end *cri.ContainerStatus, err error) {
	for {
		ev, err := events.Recv()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, ev.ContainerId) {
			continue
		}
		for _, st := range ev.ContainersStatuses {
			if st.Id == ids[0] && st.State == cri.ContainerState_CONTAINER_EXITED {
				return st, nil
			}
		}
		return nil, nil
	}
}
