package container

import (
	"context"
	"encoding/json"
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
	Cgroup  string  // parent of all containers' cgroups: "/minato-ab12/run"
	Logs    string  // "<data>/log/run"
	Volumes Volumes // "<data>/volumes"
}

func (e *Engine) logDir(name string) string { return within(e.Logs, name) }
func (e *Engine) cgroup(name string) string { return within(e.Cgroup, name) }

// stoppedFile says that a user stopped the container, so that no policy starts it again.
func (e *Engine) stoppedFile(name string) string { return filepath.Join(e.logDir(name), "stopped") }

// Container is one as the runtime sees it now.
type Container struct {
	ID, Sandbox string // the runtime's: each start makes others, see Handle
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

	turn  uint32   // of the sandbox: how often it was made anew
	stale []string // sandboxes that an interrupted start left
}

// Handle is the id that users see, the same through all starts.
func (c Container) Handle() string {
	if len(c.Spec.Nonce) == handleSize {
		return c.Spec.Nonce
	}
	return c.ID // made by an earlier build
}

const handleSize = 64

// Running reports whether its process runs.
func (c Container) Running() bool { return c.State == cri.ContainerState_CONTAINER_RUNNING }

// Exited reports whether it has run and ended.
func (c Container) Exited() bool { return c.State == cri.ContainerState_CONTAINER_EXITED }

// Create makes the container with everything but its process. Named volumes are made, and filled with what the image has at
// their place, where they are empty. It returns ErrNameTaken.
func (e *Engine) Create(ctx context.Context, s Spec) (Container, error) {
	unlock, err := e.lock(ctx, s.Name)
	if err != nil {
		return Container{}, err
	}
	defer unlock()
	if taken, err := e.taken(ctx, s.Name); err != nil || taken {
		return Container{}, errors.Join(err, errorIf(taken, fmt.Errorf("%s: %w", s.Name, ErrNameTaken)))
	}
	s.Created = time.Now()
	held, err := e.Volumes.use(ctx, &s)
	if err != nil {
		return Container{}, errors.Join(err, e.forget(s))
	}
	defer held()
	c, err := e.make(ctx, s, 0, 0, how{attached: !s.Detached || s.Later})
	if err == nil {
		err = e.fillVolumes(ctx, c)
	}
	if err != nil {
		held() // or nobody could remove its volumes
		return Container{}, errors.Join(err, e.erase(context.WithoutCancel(ctx), s, true))
	}
	return c, nil
}

func errorIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// make makes a sandbox and the container in it. The caller holds the name's lock, and erases what a failure leaves.
func (e *Engine) make(ctx context.Context, s Spec, turn, attempt uint32, h how) (Container, error) {
	box, err := s.sandbox(e, turn)
	if err != nil {
		return Container{}, err
	}
	made, err := e.Runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: box})
	if err != nil {
		return Container{}, plain(err)
	}
	if err := e.limitPids(s); err != nil {
		return Container{}, err
	}
	resp, err := e.Runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: made.PodSandboxId, Config: s.container(attempt, h.attached), SandboxConfig: box})
	if err != nil {
		return Container{}, plain(err)
	}
	return Container{ID: resp.ContainerId, Sandbox: made.PodSandboxId, Spec: s, Ready: true, Attempt: attempt, turn: turn,
		Log: filepath.Join(e.logDir(s.Name), logName)}, nil
}

func (e *Engine) taken(ctx context.Context, name string) (bool, error) {
	all, err := e.List(ctx)
	return slices.ContainsFunc(all, func(c Container) bool { return c.Spec.Name == name }), err
}

// limitPids bounds processes and threads in the sandbox's cgroup, for CRI has no such limit. On version 1 it makes that, in
// which the container is then too: without a limit there is none.
func (e *Engine) limitPids(s Spec) error {
	if s.Pids <= 0 {
		return nil
	}
	for controllers, dir := range hierarchy.Dirs(e.cgroup(s.Name)) {
		if slices.Contains(strings.Split(controllers, ","), "pids") {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("limit of processes: %w", err)
			}
		}
		file := filepath.Join(dir, "pids.max")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		return os.WriteFile(file, []byte(strconv.FormatInt(s.Pids, 10)), 0o644)
	}
	return errors.New("limit of processes: this machine has no pids controller")
}

// Stop asks the process to end, kills it after the grace, and gives network and namespaces back. What has ended is stopped.
func (e *Engine) Stop(ctx context.Context, c Container, grace time.Duration) error {
	if err := e.MarkStopped(c); err != nil {
		return err
	}
	if _, err := e.Runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c.ID, Timeout: int64(grace.Seconds())}); err != nil {
		return plain(err)
	}
	return e.rest(ctx, c)
}

// MarkStopped has policies leave c alone until it is started again.
func (e *Engine) MarkStopped(c Container) error {
	if err := os.WriteFile(e.stoppedFile(c.Spec.Name), nil, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// rest gives back what an ended container does not need.
func (e *Engine) rest(ctx context.Context, c Container) error {
	_, err := e.Runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: c.Sandbox})
	return plain(err)
}

// Remove forgets the container with its log and writable layer, and with volumes those that have no name; so it does with
// those of a container that wished to be removed at its end. One that runs is ErrRunning unless force kills it. What has gone
// is removed.
func (e *Engine) Remove(ctx context.Context, c Container, force, volumes bool) error {
	unlock, err := e.lock(ctx, c.Spec.Name)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := e.locked(ctx, c)
	if IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if now.Running() && !force {
		return fmt.Errorf("%s: %w", c.Spec.Name, ErrRunning)
	}
	return e.erase(ctx, now.Spec, volumes || now.Spec.Remove)
}

// erase removes all sandboxes of the name, then what we keep of it. The caller holds the name's lock.
func (e *Engine) erase(ctx context.Context, s Spec, volumes bool) error {
	boxes, err := e.Runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: &cri.PodSandboxFilter{LabelSelector: map[string]string{Label: s.Name}}})
	if err != nil {
		return plain(err)
	}
	for _, b := range boxes.Items {
		if _, err := e.Runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: b.Id}); err != nil {
			return plain(err)
		}
	}
	if volumes {
		if err := e.removeAnonymous(ctx, s); err != nil {
			return err
		}
	}
	return e.forget(s)
}

// forget removes the log, and with it the lock.
func (e *Engine) forget(s Spec) error { return os.RemoveAll(e.logDir(s.Name)) }

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

// details are what the runtime tells beyond CRI.
type details struct {
	PID           int      `json:"pid"`
	Bundle        string   `json:"bundle"`
	WritableLayer string   `json:"writableLayer"`
	Layers        []string `json:"layers"`
}

func (e *Engine) details(ctx context.Context, c Container) (d details, err error) {
	st, err := e.Runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: c.ID, Verbose: true})
	if err != nil {
		return d, plain(err)
	}
	if err := json.Unmarshal([]byte(st.Info["info"]), &d); err != nil {
		return d, fmt.Errorf("what the runtime says of %s: %w", c.Spec.Name, err)
	}
	return d, nil
}

// Rootfs is where the root file system of a container is mounted that was created and has not ended. Its volumes are not.
func (e *Engine) Rootfs(ctx context.Context, c Container) (string, error) {
	d, err := e.details(ctx, c)
	return filepath.Join(d.Bundle, "rootfs"), err
}

// Init is the process of a container that runs; 0 where it does not.
func (e *Engine) Init(ctx context.Context, c Container) (pid int, err error) {
	d, err := e.details(ctx, c)
	return d.PID, err
}

// Layers are the directories of a container's root file system: what it wrote (upper, and work beside it), and below that
// the image's, the topmost first.
func (e *Engine) Layers(ctx context.Context, c Container) (upper, work string, lower []string, err error) {
	d, err := e.details(ctx, c)
	return filepath.Join(d.WritableLayer, "upper"), filepath.Join(d.WritableLayer, "work"), d.Layers, err
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
