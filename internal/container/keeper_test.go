package container

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// node is a runtime in memory, whose containers end when the test says so.
type node struct {
	cri.RuntimeServiceClient
	mu      sync.Mutex
	n       int
	boxes   map[string]*cri.PodSandbox
	all     map[string]*cri.ContainerStatus
	of      map[string]string
	streams []*stream
}

type stream struct {
	grpc.ClientStream
	ctx    context.Context
	events chan *cri.ContainerEventResponse
}

func (s *stream) Header() (metadata.MD, error) { return nil, nil }

func (s *stream) Recv() (*cri.ContainerEventResponse, error) {
	select {
	case e := <-s.events:
		return e, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (f *node) GetContainerEvents(ctx context.Context, _ *cri.GetEventsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[cri.ContainerEventResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stream{ctx: ctx, events: make(chan *cri.ContainerEventResponse, 100)}
	f.streams = append(f.streams, s)
	return s, nil
}

func (f *node) RunPodSandbox(_ context.Context, r *cri.RunPodSandboxRequest, _ ...grpc.CallOption) (*cri.RunPodSandboxResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.boxes {
		if b.Metadata.Name == r.Config.Metadata.Name && b.Metadata.Attempt == r.Config.Metadata.Attempt {
			return nil, status.Error(codes.AlreadyExists, "exists")
		}
	}
	f.n++
	id := fmt.Sprint("box", f.n)
	f.boxes[id] = &cri.PodSandbox{Id: id, Metadata: r.Config.Metadata, Labels: r.Config.Labels, Annotations: r.Config.Annotations}
	return &cri.RunPodSandboxResponse{PodSandboxId: id}, nil
}

func (f *node) StopPodSandbox(_ context.Context, r *cri.StopPodSandboxRequest, _ ...grpc.CallOption) (*cri.StopPodSandboxResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.boxes[r.PodSandboxId]; b != nil {
		b.State = cri.PodSandboxState_SANDBOX_NOTREADY
	}
	return &cri.StopPodSandboxResponse{}, nil
}

func (f *node) RemovePodSandbox(_ context.Context, r *cri.RemovePodSandboxRequest, _ ...grpc.CallOption) (*cri.RemovePodSandboxResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.boxes, r.PodSandboxId)
	for id, of := range f.of {
		if of == r.PodSandboxId {
			delete(f.of, id)
			delete(f.all, id)
		}
	}
	return &cri.RemovePodSandboxResponse{}, nil
}

func (f *node) ListPodSandbox(_ context.Context, r *cri.ListPodSandboxRequest, _ ...grpc.CallOption) (*cri.ListPodSandboxResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &cri.ListPodSandboxResponse{}
	for _, b := range f.boxes {
		if want := r.GetFilter().GetLabelSelector()[Label]; want != "" && want != b.Labels[Label] {
			continue
		}
		out.Items = append(out.Items, &cri.PodSandbox{Id: b.Id, Metadata: b.Metadata, Labels: b.Labels, Annotations: b.Annotations, State: b.State})
	}
	return out, nil
}

func (f *node) PodSandboxStatus(context.Context, *cri.PodSandboxStatusRequest, ...grpc.CallOption) (*cri.PodSandboxStatusResponse, error) {
	return &cri.PodSandboxStatusResponse{}, nil
}

func (f *node) CreateContainer(_ context.Context, r *cri.CreateContainerRequest, _ ...grpc.CallOption) (*cri.CreateContainerResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	id := fmt.Sprint("c", f.n)
	f.of[id] = r.PodSandboxId
	f.all[id] = &cri.ContainerStatus{Id: id, Metadata: r.Config.Metadata}
	return &cri.CreateContainerResponse{ContainerId: id}, nil
}

func (f *node) StartContainer(_ context.Context, r *cri.StartContainerRequest, _ ...grpc.CallOption) (*cri.StartContainerResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[r.ContainerId].State = cri.ContainerState_CONTAINER_RUNNING
	return &cri.StartContainerResponse{}, nil
}

func (f *node) StopContainer(context.Context, *cri.StopContainerRequest, ...grpc.CallOption) (*cri.StopContainerResponse, error) {
	return &cri.StopContainerResponse{}, nil
}

func (f *node) RemoveContainer(_ context.Context, r *cri.RemoveContainerRequest, _ ...grpc.CallOption) (*cri.RemoveContainerResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, r.ContainerId)
	return &cri.RemoveContainerResponse{}, nil
}

func (f *node) ListContainers(context.Context, *cri.ListContainersRequest, ...grpc.CallOption) (*cri.ListContainersResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &cri.ListContainersResponse{}
	for id, c := range f.all {
		out.Containers = append(out.Containers, &cri.Container{Id: id, PodSandboxId: f.of[id], Metadata: c.Metadata})
	}
	return out, nil
}

func (f *node) ContainerStatus(_ context.Context, r *cri.ContainerStatusRequest, _ ...grpc.CallOption) (*cri.ContainerStatusResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.all[r.ContainerId]
	if c == nil {
		return nil, status.Error(codes.NotFound, "gone")
	}
	return &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{Id: c.Id, Metadata: c.Metadata, State: c.State, ExitCode: c.ExitCode}}, nil
}

// end lets the container of a name end.
func (f *node) end(name string, code int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.all {
		box := f.boxes[f.of[id]]
		if box == nil || box.Metadata.Name != name || c.State != cri.ContainerState_CONTAINER_RUNNING {
			continue
		}
		c.State, c.ExitCode = cri.ContainerState_CONTAINER_EXITED, code
		for _, s := range f.streams {
			s.events <- &cri.ContainerEventResponse{ContainerId: id, ContainerEventType: cri.ContainerEventType_CONTAINER_STOPPED_EVENT,
				PodSandboxStatus: &cri.PodSandboxStatus{Labels: box.Labels}}
		}
	}
}

func (f *node) listening() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestKeeper(t *testing.T) {
	f := &node{boxes: map[string]*cri.PodSandbox{}, all: map[string]*cri.ContainerStatus{}, of: map[string]string{}}
	e := &Engine{Runtime: f, Cgroup: "/none", Logs: t.TempDir()}
	k := &Keeper{Engine: e, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	until(t, "the keeper listens", func() bool { return f.listening() > 0 })
	start := func(s Spec) {
		t.Helper()
		s.Detached = true
		if err := os.MkdirAll(filepath.Join(e.Logs, s.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := e.Create(ctx, s)
		if err == nil {
			err = e.Start(ctx, c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(name string, want func(Container) bool) func() bool {
		return func() bool { c, err := e.Find(ctx, name); return err == nil && want(c) }
	}
	start(Spec{Name: "gone", Remove: true})
	start(Spec{Name: "plain"})
	start(Spec{Name: "always", Restart: Restart{Always: true}})
	start(Spec{Name: "twice", Restart: Restart{OnFailure: true, Most: 2}})
	if _, err := e.Create(ctx, Spec{Name: "plain"}); err == nil {
		t.Error("a name was given twice")
	}
	if !k.Needed(ctx) {
		t.Error("a keeper with containers to restart is not needed")
	}
	f.end("gone", 0)
	until(t, "a container with --rm is removed", func() bool { _, err := e.Find(ctx, "gone"); return IsGone(err) })
	f.end("plain", 1)
	until(t, "the sandbox of a container that ended rests", is("plain", func(c Container) bool { return c.Exited() && !c.Ready && c.ExitCode == 1 }))
	for n := range uint32(3) {
		f.end("always", 0)
		until(t, "it runs again", is("always", func(c Container) bool { return c.Running() && c.Attempt == n+1 }))
	}
	for n := range uint32(2) {
		f.end("twice", 3)
		until(t, "it runs again", is("twice", func(c Container) bool { return c.Running() && c.Attempt == n+1 }))
	}
	f.end("twice", 3)
	until(t, "enough was tried", is("twice", func(c Container) bool { return c.Exited() && !c.Ready }))
	c, err := e.Find(ctx, "always")
	if err == nil {
		err = e.Stop(ctx, c, time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.end("always", 0)
	until(t, "nobody needs the keeper", func() bool { return !k.Needed(ctx) })
	if c, err = e.Find(ctx, "always"); err != nil || !c.Exited() {
		t.Errorf("a stopped container was started again: %+v, %v", c, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAwaitProcess(t *testing.T) {
	awaitProcess(t.Context(), Process{})
	awaitProcess(t.Context(), Process{PID: os.Getpid(), Start: "another's"})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	awaitProcess(ctx, ThisProcess())
}
