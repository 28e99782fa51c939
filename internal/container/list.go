package container

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// List returns all containers of ours, the newest first.
func (e *Engine) List(ctx context.Context) ([]Container, error) {
	boxes, err := e.Runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, plain(err)
	}
	all := map[string]Container{} // by sandbox
	for _, b := range boxes.Items {
		s, err := readSpec(b.Annotations)
		if b.Labels[Label] == "" || err != nil {
			continue
		}
		all[b.Id] = Container{Sandbox: b.Id, Spec: s, Ready: b.State == cri.PodSandboxState_SANDBOX_READY, Created: createdAt(s, b),
			Log: filepath.Join(e.logDir(s.Name), logName), turn: b.Metadata.GetAttempt()}
	}
	list, err := e.Runtime.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return nil, plain(err)
	}
	for _, c := range list.Containers {
		of, ours := all[c.PodSandboxId]
		if !ours || of.ID != "" && of.Attempt > c.Metadata.GetAttempt() {
			continue
		}
		if err := e.fill(ctx, &of, c.Id); status.Code(err) == codes.NotFound {
			continue // removed meanwhile
		} else if err != nil {
			return nil, plain(err)
		}
		all[c.PodSandboxId] = of
	}
	return newestFirst(onePerName(all)), nil
}

// createdAt is when the user made it, of which earlier builds kept nothing.
func createdAt(s Spec, b *cri.PodSandbox) time.Time {
	if s.Created.IsZero() {
		return time.Unix(0, b.CreatedAt)
	}
	return s.Created
}

// onePerName chooses, of the sandboxes that a start has left two of, the one that has a container, and of two such the
// later one; the others are stale.
func onePerName(all map[string]Container) map[string]Container {
	chosen := map[string]Container{}
	for _, c := range all {
		other, twice := chosen[c.Spec.Name]
		if twice {
			if (other.ID != "") != (c.ID != "") && other.ID != "" || (other.ID != "") == (c.ID != "") && other.turn > c.turn {
				c, other = other, c
			}
			c.stale = append(append(c.stale, other.stale...), other.Sandbox)
		}
		chosen[c.Spec.Name] = c
	}
	return chosen
}

// fill asks for the rest of what is known.
func (e *Engine) fill(ctx context.Context, c *Container, id string) error {
	st, err := e.Runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return err
	}
	c.see(st.Status)
	if c.Ready {
		box, err := e.Runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: c.Sandbox})
		if err != nil {
			return err
		}
		c.IP = box.Status.GetNetwork().GetIp()
	}
	return nil
}

func (c *Container) see(st *cri.ContainerStatus) {
	c.ID, c.State, c.Attempt = st.Id, st.State, st.Metadata.GetAttempt()
	c.Started, c.Finished = at(st.StartedAt), at(st.FinishedAt)
	c.ExitCode, c.Reason, c.Message = int(st.ExitCode), st.Reason, st.Message
}

func at(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// Find returns the container with this name, id or beginning of an id. It returns ErrNotFound or ErrAmbiguous.
func (e *Engine) Find(ctx context.Context, ref string) (Container, error) {
	all, err := e.List(ctx)
	if err != nil {
		return Container{}, err
	}
	var found []Container
	for _, c := range all {
		if c.Spec.Name == ref {
			return c, nil
		}
		if ref != "" && (strings.HasPrefix(c.Handle(), ref) || strings.HasPrefix(c.ID, ref)) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return Container{}, fmt.Errorf("%w: %s", ErrNotFound, ref)
	case 1:
		return found[0], nil
	}
	return Container{}, fmt.Errorf("%w: %s", ErrAmbiguous, ref)
}
