package container

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

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
