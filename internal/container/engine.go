package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/shim/hierarchy"
)

// ErrNotFound is returned where no container has the name or id, ErrAmbiguous where several ids begin so, ErrNameTaken
// by Create, ErrRunning by Remove of a container that runs.
var (
	ErrNotFound  = errors.New("no such container")
	ErrAmbiguous = errors.New("several containers have an id that begins so")
	ErrNameTaken = errors.New("the name is taken by another container; remove that first, or choose another with --name")
	ErrRunning   = errors.New("the container is running; stop it first, or use --force")
)

// Engine makes and ends containers through a runtime.
type Engine struct {
	Runtime cri.RuntimeServiceClient
	Cgroup  string // parent of all containers' cgroups: "/minato-ab12/run"
	Logs    string // "<data>/log/run"
}

func (e *Engine) logDir(name string) string { return within(e.Logs, name) }
func (e *Engine) cgroup(name string) string { return within(e.Cgroup, name) }

// stoppedFile says that a user stopped the container, so that no policy starts it again.
func (e *Engine) stoppedFile(name string) string { return filepath.Join(e.logDir(name), "stopped") }

// Container is one as the runtime sees it now.
type Container struct {
	ID, Sandbox string
	Spec        Spec
	State       cri.ContainerState
	Ready       bool // the sandbox has its namespaces and network
	Attempt     uint32
	Created     time.Time
	Started     time.Time
	Finished    time.Time
	ExitCode    int
	Reason      string // "OOMKilled", "StartError", ...
	Message     string
	IP          string
	Log         string
}

// Running reports whether its process runs.
func (c Container) Running() bool { return c.State == cri.ContainerState_CONTAINER_RUNNING }

// Exited reports whether it has run and ended.
func (c Container) Exited() bool { return c.State == cri.ContainerState_CONTAINER_EXITED }

// Create makes the container with everything but its process. It returns ErrNameTaken.
func (e *Engine) Create(ctx context.Context, s Spec) (Container, error) {
	box, err := s.sandbox(e)
	if err != nil {
		return Container{}, err
	}
	c, err := s.container(0)
	if err != nil {
		return Container{}, err
	}
	made, err := e.Runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: box})
	if status.Code(err) == codes.AlreadyExists && e.taken(ctx, s.Name) { // a port of the host may be taken too
		return Container{}, fmt.Errorf("%s: %w", s.Name, ErrNameTaken)
	}
	if err != nil {
		return Container{}, plain(err)
	}
	id := made.PodSandboxId
	err = e.limitPids(s)
	var resp *cri.CreateContainerResponse
	if err == nil {
		resp, err = e.Runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: id, Config: c, SandboxConfig: box})
	}
	if err != nil {
		return Container{}, errors.Join(plain(err), e.erase(context.WithoutCancel(ctx), id, s.Name))
	}
	return Container{ID: resp.ContainerId, Sandbox: id, Spec: s, Log: filepath.Join(e.logDir(s.Name), logName)}, nil
}

func (e *Engine) taken(ctx context.Context, name string) bool {
	all, err := e.List(ctx)
	return err == nil && slices.ContainsFunc(all, func(c Container) bool { return c.Spec.Name == name })
}

// limitPids bounds processes and threads in the sandbox's cgroup, for CRI has no such limit.
func (e *Engine) limitPids(s Spec) error {
	if s.Pids <= 0 {
		return nil
	}
	for _, dir := range hierarchy.Dirs(e.cgroup(s.Name)) {
		file := filepath.Join(dir, "pids.max")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		return os.WriteFile(file, []byte(strconv.FormatInt(s.Pids, 10)), 0o644)
	}
	return errors.New("limit of processes: this machine has no pids controller")
}

// Start runs the created container's process.
func (e *Engine) Start(ctx context.Context, c Container) error {
	_, err := e.Runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.ID})
	return plain(err)
}

// Stop asks the process to end, kills it after the grace, and gives network and namespaces back. What has ended is stopped.
func (e *Engine) Stop(ctx context.Context, c Container, grace time.Duration) error {
	if err := os.WriteFile(e.stoppedFile(c.Spec.Name), nil, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := e.Runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c.ID, Timeout: int64(grace.Seconds())}); err != nil {
		return plain(err)
	}
	return e.rest(ctx, c)
}

// rest gives back what an ended container does not need.
func (e *Engine) rest(ctx context.Context, c Container) error {
	_, err := e.Runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: c.Sandbox})
	return plain(err)
}

// Remove forgets the container with its log and writable layer. One that runs is ErrRunning unless force kills it.
func (e *Engine) Remove(ctx context.Context, c Container, force bool) error {
	if c.Running() && !force {
		return fmt.Errorf("%s: %w", c.Spec.Name, ErrRunning)
	}
	return e.erase(ctx, c.Sandbox, c.Spec.Name)
}

func (e *Engine) erase(ctx context.Context, sandbox, name string) error {
	if _, err := e.Runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox}); err != nil {
		return plain(err)
	}
	return os.RemoveAll(e.logDir(name))
}

// List returns all containers of ours, the newest first.
func (e *Engine) List(ctx context.Context) ([]Container, error) {
	boxes, err := e.Runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, plain(err)
	}
	all := map[string]Container{}
	for _, b := range boxes.Items {
		s, err := readSpec(b.Annotations)
		if b.Labels[Label] == "" || err != nil {
			continue
		}
		all[b.Id] = Container{Sandbox: b.Id, Spec: s, Ready: b.State == cri.PodSandboxState_SANDBOX_READY, Created: time.Unix(0, b.CreatedAt),
			Log: filepath.Join(e.logDir(s.Name), logName)}
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
	return sortedByName(all), nil
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
	c.Created, c.Started, c.Finished = at(st.CreatedAt), at(st.StartedAt), at(st.FinishedAt)
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
		if ref != "" && strings.HasPrefix(c.ID, ref) {
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
		if err := untilTold(events, c.ID, c.Sandbox); err != nil {
			return c, plain(err)
		}
	}
}

func untilTold(events interface {
	Recv() (*cri.ContainerEventResponse, error)
}, ids ...string) error {
	for {
		ev, err := events.Recv()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if ev.ContainerId == id {
				return nil
			}
		}
	}
}

// plain takes gRPC's words around an error off, and keeps its code for status.Code.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); !ok {
		return err
	}
	return &remote{err}
}

type remote struct{ err error }

// Error is the runtime's message alone.
func (r *remote) Error() string { return status.Convert(r.err).Message() }

// Unwrap lets status.Code look.
func (r *remote) Unwrap() error { return r.err }

// Lost reports whether err means that nobody serves the node any more, so that it may be asked again elsewhere.
func Lost(err error) bool {
	var r *remote
	return errors.As(err, &r) && status.Code(r.err) == codes.Unavailable
}

// IsGone reports whether err says that the container was removed.
func IsGone(err error) bool { return errors.Is(err, ErrNotFound) }
