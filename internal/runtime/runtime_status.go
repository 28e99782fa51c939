package runtime

import (
	"context"
	"encoding/json"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Name is what Version and Status call this runtime.
const Name = "minato"

// Version says who answers.
func (s *Server) Version(context.Context, *api.VersionRequest) (*api.VersionResponse, error) {
	return &api.VersionResponse{Version: "0.1.0", RuntimeName: Name, RuntimeVersion: s.cfg.Version, RuntimeApiVersion: "v1"}, nil
}

// Status reports whether containers and pod networks can be made, and what the runtime can do. A handler of which that is
// not known yet is left out for the moment; Config.Changed tells when it can be named.
func (s *Server) Status(ctx context.Context, r *api.StatusRequest) (*api.StatusResponse, error) {
	resp := &api.StatusResponse{
		Status: &api.RuntimeStatus{Conditions: []*api.RuntimeCondition{
			condition(api.RuntimeReady, "ShimUnavailable", s.health.get()),
			condition(api.NetworkReady, "NetworkPluginNotReady", s.net.open(ctx, s.cfg.Network)),
		}},
		Features: &api.RuntimeFeatures{SupplementalGroupsPolicy: true, MountOptions: true},
	}
	for _, h := range s.handlers() {
		f := s.features(h)
		if f == nil {
			s.abilities.want()
			continue
		}
		resp.RuntimeHandlers = append(resp.RuntimeHandlers, &api.RuntimeHandler{Name: h, Features: f})
	}
	if r.GetVerbose() {
		info, err := json.Marshal(map[string]any{"root": s.cfg.Root, "runDir": s.cfg.RunDir, "cgroupV2": s.cgroups.V2(),
			"podCIDR": s.podCIDR.Load(), "sandboxes": s.sandboxes.Len(), "containers": s.containers.Len(), "node": s.node})
		if err != nil {
			return nil, err
		}
		resp.Info = map[string]string{"config": string(info)}
	}
	return resp, nil
}

func condition(kind, reason string, err error) *api.RuntimeCondition {
	if err != nil {
		return &api.RuntimeCondition{Type: kind, Reason: reason, Message: err.Error()}
	}
	return &api.RuntimeCondition{Type: kind, Status: true}
}

// RuntimeConfig tells the kubelet that cgroups are named by their paths.
func (s *Server) RuntimeConfig(context.Context, *api.RuntimeConfigRequest) (*api.RuntimeConfigResponse, error) {
	return &api.RuntimeConfigResponse{Linux: &api.LinuxRuntimeConfiguration{CgroupDriver: api.CgroupDriver_CGROUPFS}}, nil
}

// UpdateRuntimeConfig hears the node's pod range.
func (s *Server) UpdateRuntimeConfig(ctx context.Context, r *api.UpdateRuntimeConfigRequest) (*api.UpdateRuntimeConfigResponse, error) {
	cidr := r.GetRuntimeConfig().GetNetworkConfig().GetPodCidr()
	if cidr == "" {
		return &api.UpdateRuntimeConfigResponse{}, nil
	}
	if s.cfg.PodCIDR != nil {
		if err := s.cfg.PodCIDR(ctx, cidr); err != nil {
			return nil, err
		}
	}
	s.podCIDR.Store(&cidr)
	return &api.UpdateRuntimeConfigResponse{}, nil
}
