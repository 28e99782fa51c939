// Package kubelettest is a container runtime in memory: a CRI server whose containers are records, for fast tests of the
// kubelet.
//
// Serve puts it on a unix socket. A container whose command is ["exit", N] ends with N as soon as it starts; any other
// runs until it is stopped or Exit ends it. All methods are safe for concurrent use.
package kubelettest

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/run"
)

// Runtime is the server.
type Runtime struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer

	// Quiet makes it a runtime without an event stream. Set it before Serve.
	Quiet bool
	// Fail, where not nil, may refuse a verb ("RunPodSandbox") before it does anything.
	Fail func(verb string, req any) error
	// OnExec answers ExecSync.
	OnExec func(container string, cmd []string) (code int32, output string)

	mu         sync.Mutex
	next       int
	boxes      map[string]*box
	containers map[string]*Container
	images     map[string]*runtimeapi.Image
	registry   map[string]*runtimeapi.Image
	streams    map[chan *runtimeapi.ContainerEventResponse]bool
	uses       map[string][2]uint64 // memory and layer by container name
}

type box struct {
	id     string
	config *runtimeapi.PodSandboxConfig
	status *runtimeapi.PodSandboxStatus
}

// Container is one container as it was asked for, and its status.
type Container struct {
	Config  *runtimeapi.ContainerConfig
	Status  *runtimeapi.ContainerStatus
	Sandbox string
	Stopped int64 // the timeout of the StopContainer that ended it
}

// New returns an empty runtime that has the image "local" and can pull "remote".
func New() *Runtime {
	r := &Runtime{boxes: map[string]*box{}, containers: map[string]*Container{}, images: map[string]*runtimeapi.Image{},
		registry: map[string]*runtimeapi.Image{}, streams: map[chan *runtimeapi.ContainerEventResponse]bool{}, uses: map[string][2]uint64{}}
	r.images["local:latest"] = image("local")
	r.registry["remote:latest"] = image("remote")
	return r
}

func image(name string) *runtimeapi.Image {
	return &runtimeapi.Image{Id: "sha256:" + name, RepoTags: []string{name + ":latest"}, Size: 1000, Uid: &runtimeapi.Int64Value{}}
}

// AddImage gives the runtime an image of so many bytes.
func (r *Runtime) AddImage(name string, size uint64, pinned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := image(name)
	i.Size, i.Pinned = size, pinned
	r.images[i.RepoTags[0]] = i
}

// Serve listens on a socket in a temporary directory until the test ends and returns a client.
func (r *Runtime) Serve(t testing.TB) *cri.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(s, r)
	runtimeapi.RegisterImageServiceServer(s, r)
	scope := run.NewScope(t.Context())
	scope.Go("cri", func(context.Context) error { return s.Serve(l) })
	c, err := cri.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Stop()
		if err := scope.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (r *Runtime) refuse(verb string, req any) error {
	if r.Fail == nil {
		return nil
	}
	return r.Fail(verb, req)
}

func (r *Runtime) id(kind string) string {
	r.next++
	return kind + strconv.Itoa(r.next)
}

// tell sends an event with what is known of the pod; the caller holds mu.
func (r *Runtime) tell(id, sandbox string, t runtimeapi.ContainerEventType) {
	b := r.boxes[sandbox]
	if b == nil {
		return
	}
	e := &runtimeapi.ContainerEventResponse{ContainerId: id, ContainerEventType: t, CreatedAt: time.Now().UnixNano(), PodSandboxStatus: clone(b.status)}
	for ch := range r.streams {
		ch <- e
	}
}

func clone(s *runtimeapi.PodSandboxStatus) *runtimeapi.PodSandboxStatus {
	return &runtimeapi.PodSandboxStatus{Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Network: s.Network, Labels: s.Labels, Annotations: s.Annotations, RuntimeHandler: s.RuntimeHandler}
}

func cloneContainer(s *runtimeapi.ContainerStatus) *runtimeapi.ContainerStatus {
	return &runtimeapi.ContainerStatus{Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		ExitCode: s.ExitCode, Image: s.Image, ImageRef: s.ImageRef, Reason: s.Reason, Message: s.Message, Labels: s.Labels, Annotations: s.Annotations, LogPath: s.LogPath, Resources: s.Resources}
}

// Containers returns copies of all containers, oldest first.
func (r *Runtime) Containers() []Container {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Container
	for _, c := range r.containers {
		copied := *c
		copied.Status = cloneContainer(c.Status)
		out = append(out, copied)
	}
	slices.SortFunc(out, func(a, b Container) int { return int(a.Status.CreatedAt - b.Status.CreatedAt) })
	return out
}

// Sandboxes returns the configurations of all sandboxes.
func (r *Runtime) Sandboxes() []*runtimeapi.PodSandboxConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*runtimeapi.PodSandboxConfig
	for _, b := range r.boxes {
		out = append(out, b.config)
	}
	return out
}

// Exit ends the running container of that name.
func (r *Runtime) Exit(name string, code int32, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.Config.Metadata.Name == name && c.Status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			r.exit(c, code, reason)
		}
	}
}

func (r *Runtime) exit(c *Container, code int32, reason string) {
	if c.Status.State == runtimeapi.ContainerState_CONTAINER_EXITED {
		return
	}
	if reason == "" {
		reason = "Error"
		if code == 0 {
			reason = "Completed"
		}
	}
	c.Status.State, c.Status.ExitCode, c.Status.Reason = runtimeapi.ContainerState_CONTAINER_EXITED, code, reason
	c.Status.FinishedAt = time.Now().UnixNano()
	r.tell(c.Status.Id, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

func missing(what, id string) error {
	return status.Errorf(codes.NotFound, "%s %q not found", what, id)
}

// Version names the runtime.
func (r *Runtime) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: "fake", RuntimeVersion: "1.0", RuntimeApiVersion: "v1"}, nil
}

// Status is always ready.
func (r *Runtime) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	return &runtimeapi.StatusResponse{Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{{Type: "RuntimeReady", Status: true}, {Type: "NetworkReady", Status: true}}}}, nil
}

// GetContainerEvents streams what happens from now on.
func (r *Runtime) GetContainerEvents(_ *runtimeapi.GetEventsRequest, s grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	if r.Quiet {
		return status.Error(codes.Unimplemented, "no events")
	}
	ch := make(chan *runtimeapi.ContainerEventResponse, 1000)
	r.mu.Lock()
	r.streams[ch] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.streams, ch)
		r.mu.Unlock()
	}()
	if err := s.SendHeader(nil); err != nil { // from here on nothing is missed
		return err
	}
	for {
		select {
		case e := <-ch:
			if err := s.Send(e); err != nil {
				return err
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

// ExecSync runs OnExec.
func (r *Runtime) ExecSync(_ context.Context, req *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	r.mu.Lock()
	c, f := r.containers[req.ContainerId], r.OnExec
	r.mu.Unlock()
	if c == nil || f == nil {
		return nil, missing("container", req.ContainerId)
	}
	code, out := f(c.Config.Metadata.Name, req.Cmd)
	return &runtimeapi.ExecSyncResponse{ExitCode: code, Stdout: []byte(out)}, nil
}

func matches(labels, want map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func ip(n int) string { return fmt.Sprintf("10.244.0.%d", n%250+2) }
