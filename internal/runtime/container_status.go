package runtime

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// ContainerStatus returns one container as it was last seen.
func (s *Server) ContainerStatus(_ context.Context, r *api.ContainerStatusRequest) (*api.ContainerStatusResponse, error) {
	c, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	resp := &api.ContainerStatusResponse{Status: s.containerStatus(c)}
	if r.GetVerbose() {
		info, err := json.Marshal(map[string]any{"sandboxID": c.Sandbox, "pid": c.PID, "intent": c.Intent, "boot": c.Boot,
			"bundle": s.cfg.bundleDir(c.ID), "writableLayer": s.layerDir(c), "layers": s.lowerOf(c), "config": c.Config.ContainerConfig})
		if err != nil {
			return nil, err
		}
		resp.Info = map[string]string{"info": string(info)}
	}
	return resp, nil
}

// lowerOf are the directories below the container's writable layer, the topmost first; none where the image has gone.
func (s *Server) lowerOf(c *ledger.Container) []string {
	img, err := s.imageOf(c)
	if err != nil {
		return nil
	}
	return append(slices.Clone(img.Layers), s.cfg.mountPoints())
}

func (s *Server) containerStatus(c *ledger.Container) *api.ContainerStatus {
	name, ref := s.imageNames(c)
	st := &api.ContainerStatus{
		Id: c.ID, Metadata: c.Config.GetMetadata(), State: c.State(), CreatedAt: c.Created.UnixNano(),
		StartedAt: nano(c.Started), FinishedAt: nano(c.Finished), ExitCode: c.ExitCode, Reason: c.Reason, Message: c.Message,
		Image:    &api.ImageSpec{Image: name, UserSpecifiedImage: c.Config.GetImage().GetUserSpecifiedImage(), Annotations: c.Config.GetImage().GetAnnotations()},
		ImageRef: ref, ImageId: c.ImageID, Labels: c.Config.GetLabels(), Annotations: c.Config.GetAnnotations(),
		Mounts: c.Config.GetMounts(), LogPath: c.LogPath, StopSignal: signalValue(c.StopWith),
		User: &api.ContainerUser{Linux: &api.LinuxContainerUser{Uid: int64(c.User.UID), Gid: int64(c.User.GID)}},
	}
	for _, g := range c.User.Groups {
		st.User.Linux.SupplementalGroups = append(st.User.Linux.SupplementalGroups, int64(g))
	}
	if c.Resources.LinuxContainerResources != nil {
		st.Resources = &api.ContainerResources{Linux: c.Resources.LinuxContainerResources}
	}
	return st
}

// imageNames are a name and a digest for people; an image that lost both, or is gone, is shown by what was asked for.
func (s *Server) imageNames(c *ledger.Container) (name, ref string) {
	img, ok := s.cfg.Images.Resolve(c.ImageID)
	name, ref = c.Config.GetImage().GetImage(), c.ImageID
	if !ok {
		return name, ref
	}
	if len(img.Digests) > 0 {
		ref = img.Digests[0]
	}
	if len(img.Names) > 0 {
		name = img.Names[0]
	}
	return name, ref
}

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
