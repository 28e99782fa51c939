package kubelettest

import (
	"context"
	"strconv"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RunPodSandbox makes a ready sandbox with an address.
func (r *Runtime) RunPodSandbox(_ context.Context, req *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	if err := r.refuse("RunPodSandbox", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.id("sandbox")
	c := req.Config
	r.boxes[id] = &box{id, c, &runtimeapi.PodSandboxStatus{Id: id, Metadata: c.Metadata, CreatedAt: time.Now().UnixNano(), Labels: c.Labels,
		Annotations: c.Annotations, Network: &runtimeapi.PodSandboxNetworkStatus{Ip: ip(r.next)}, RuntimeHandler: req.RuntimeHandler}}
	r.tell(id, id, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: id}, nil
}

// StopPodSandbox ends the sandbox and what runs in it.
func (r *Runtime) StopPodSandbox(_ context.Context, req *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.boxes[req.PodSandboxId]; b != nil {
		r.stopBox(b)
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

func (r *Runtime) stopBox(b *box) {
	for _, c := range r.containers {
		if c.Sandbox == b.id {
			r.exit(c, 137, "")
		}
	}
	b.status.State = runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	r.tell(b.id, b.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

// KillSandboxes ends all sandboxes, as a reboot does.
func (r *Runtime) KillSandboxes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.boxes {
		r.stopBox(b)
	}
}

// RemovePodSandbox forgets the sandbox and its containers.
func (r *Runtime) RemovePodSandbox(_ context.Context, req *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, c := range r.containers {
		if c.Sandbox == req.PodSandboxId {
			delete(r.containers, id)
		}
	}
	r.tell(req.PodSandboxId, req.PodSandboxId, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	delete(r.boxes, req.PodSandboxId)
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

// PodSandboxStatus returns one sandbox.
func (r *Runtime) PodSandboxStatus(_ context.Context, req *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.boxes[req.PodSandboxId]
	if b == nil {
		return nil, missing("sandbox", req.PodSandboxId)
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: clone(b.status)}, nil
}

// ListPodSandbox lists those that the filter's labels choose.
func (r *Runtime) ListPodSandbox(_ context.Context, req *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &runtimeapi.ListPodSandboxResponse{}
	for _, b := range r.boxes {
		if s := b.status; matches(s.Labels, req.Filter.GetLabelSelector()) {
			out.Items = append(out.Items, &runtimeapi.PodSandbox{Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Labels: s.Labels})
		}
	}
	return out, nil
}

// CreateContainer records a container.
func (r *Runtime) CreateContainer(_ context.Context, req *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	if err := r.refuse("CreateContainer", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, c := r.id("container"), req.Config
	st := &runtimeapi.ContainerStatus{Id: id, Metadata: c.Metadata, State: runtimeapi.ContainerState_CONTAINER_CREATED, CreatedAt: time.Now().UnixNano(),
		Image: c.Image, ImageRef: c.Image.Image, Labels: c.Labels, Annotations: c.Annotations, LogPath: req.SandboxConfig.LogDirectory + "/" + c.LogPath}
	st.Resources = &runtimeapi.ContainerResources{Linux: c.Linux.GetResources()}
	r.containers[id] = &Container{Config: c, Status: st, Sandbox: req.PodSandboxId}
	r.tell(id, req.PodSandboxId, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
	return &runtimeapi.CreateContainerResponse{ContainerId: id}, nil
}

// StartContainer makes it run, and end at once where its command says so.
func (r *Runtime) StartContainer(_ context.Context, req *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	if err := r.refuse("StartContainer", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[req.ContainerId]
	if c == nil {
		return nil, missing("container", req.ContainerId)
	}
	c.Status.State, c.Status.StartedAt = runtimeapi.ContainerState_CONTAINER_RUNNING, time.Now().UnixNano()
	r.tell(req.ContainerId, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	if cmd := c.Config.Command; len(cmd) == 2 && cmd[0] == "exit" {
		code, _ := strconv.Atoi(cmd[1])
		r.exit(c, int32(code), "")
	}
	return &runtimeapi.StartContainerResponse{}, nil
}

// StopContainer ends it with 143, as a program does that heeds SIGTERM.
func (r *Runtime) StopContainer(_ context.Context, req *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	if err := r.refuse("StopContainer", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[req.ContainerId]; c != nil {
		c.Stopped = req.Timeout
		r.exit(c, 143, "")
	}
	return &runtimeapi.StopContainerResponse{}, nil
}

// RemoveContainer forgets it.
func (r *Runtime) RemoveContainer(_ context.Context, req *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[req.ContainerId]; c != nil {
		delete(r.containers, req.ContainerId)
		r.tell(req.ContainerId, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	}
	return &runtimeapi.RemoveContainerResponse{}, nil
}

// ListContainers lists those that the filter's labels choose.
func (r *Runtime) ListContainers(_ context.Context, req *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &runtimeapi.ListContainersResponse{}
	for _, c := range r.containers {
		if s := c.Status; matches(s.Labels, req.Filter.GetLabelSelector()) {
			out.Containers = append(out.Containers, &runtimeapi.Container{Id: s.Id, PodSandboxId: c.Sandbox, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Labels: s.Labels, Annotations: s.Annotations, ImageRef: s.ImageRef})
		}
	}
	return out, nil
}

// ContainerStatus returns one container.
func (r *Runtime) ContainerStatus(_ context.Context, req *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[req.ContainerId]
	if c == nil {
		return nil, missing("container", req.ContainerId)
	}
	return &runtimeapi.ContainerStatusResponse{Status: cloneContainer(c.Status)}, nil
}

// ImageStatus finds an image by name or id.
func (r *Runtime) ImageStatus(_ context.Context, req *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, i := range r.images {
		if name == req.Image.Image || i.Id == req.Image.Image {
			return &runtimeapi.ImageStatusResponse{Image: i}, nil
		}
	}
	return &runtimeapi.ImageStatusResponse{}, nil
}

// PullImage takes an image from the registry.
func (r *Runtime) PullImage(_ context.Context, req *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	if err := r.refuse("PullImage", req); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.registry[req.Image.Image]
	if i == nil {
		return nil, missing("manifest", req.Image.Image)
	}
	r.images[req.Image.Image] = i
	return &runtimeapi.PullImageResponse{ImageRef: i.Id}, nil
}

// RemoveImage forgets an image by its id.
func (r *Runtime) RemoveImage(_ context.Context, req *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, i := range r.images {
		if i.Id == req.Image.GetImage() {
			delete(r.images, name)
		}
	}
	return &runtimeapi.RemoveImageResponse{}, nil
}

// ListImages lists all images.
func (r *Runtime) ListImages(context.Context, *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &runtimeapi.ListImagesResponse{}
	for _, i := range r.images {
		out.Images = append(out.Images, i)
	}
	return out, nil
}
