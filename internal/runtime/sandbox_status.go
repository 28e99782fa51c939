package runtime

import (
	"context"
	"encoding/json"
	"os"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
)

// PodSandboxStatus returns one sandbox and its containers as they are now.
func (s *Server) PodSandboxStatus(_ context.Context, r *api.PodSandboxStatusRequest) (*api.PodSandboxStatusResponse, error) {
	rec, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	resp := &api.PodSandboxStatusResponse{Status: s.sandboxStatus(rec), Timestamp: time.Now().UnixNano()}
	for _, c := range s.containersOf(rec.ID) {
		if c.Intent == ledger.Kept {
			resp.ContainersStatuses = append(resp.ContainersStatuses, s.containerStatus(c))
		}
	}
	if r.GetVerbose() {
		resp.Info, err = s.sandboxInfo(rec)
	}
	return resp, err
}

// ready observes: a sandbox stands as long as its pins of this boot do.
func (s *Server) ready(rec *ledger.Sandbox) bool {
	if rec.Intent != ledger.Kept || rec.Boot != s.boot {
		return false
	}
	n := wantedNamespaces(rec.Config.PodSandboxConfig)
	dir := s.cfg.pinDir(rec.ID)
	if n.Net && !pin.Pinned(dir+"/net") || n.IPC && !pin.Pinned(dir+"/ipc") || n.UTS && !pin.Pinned(dir+"/uts") {
		return false
	}
	return s.initAlive(rec)
}

func (s *Server) sandboxState(rec *ledger.Sandbox) api.PodSandboxState {
	if s.ready(rec) {
		return api.PodSandboxState_SANDBOX_READY
	}
	return api.PodSandboxState_SANDBOX_NOTREADY
}

func (s *Server) sandboxStatus(rec *ledger.Sandbox) *api.PodSandboxStatus {
	c := rec.Config.PodSandboxConfig
	st := &api.PodSandboxStatus{
		Id: rec.ID, Metadata: c.GetMetadata(), State: s.sandboxState(rec), CreatedAt: rec.Created.UnixNano(),
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: rec.Handler,
		Network: &api.PodSandboxNetworkStatus{},
		Linux:   &api.LinuxPodSandboxStatus{Namespaces: &api.Namespace{Options: modes(c)}},
	}
	if st.State != api.PodSandboxState_SANDBOX_READY {
		return st // its addresses may be another pod's by now
	}
	for i, ip := range rec.IPs {
		if i == 0 {
			st.Network.Ip = ip
		} else {
			st.Network.AdditionalIps = append(st.Network.AdditionalIps, &api.PodIP{Ip: ip})
		}
	}
	return st
}

// sandboxInfo is for people: where the sandbox's things are. There is no process, so pid is ours.
func (s *Server) sandboxInfo(rec *ledger.Sandbox) (map[string]string, error) {
	info, err := json.Marshal(map[string]any{
		"pid": rec.InitPID, "namespaces": s.cfg.pinDir(rec.ID), "netns": s.cfg.netns(rec.ID), "intent": rec.Intent,
		"boot": rec.Boot, "runtimePid": os.Getpid(), "ownsCgroup": rec.OwnsPod, "config": rec.Config.PodSandboxConfig,
	})
	return map[string]string{"info": string(info)}, err
}
