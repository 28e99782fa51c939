package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/ledger"
)

// errDied is what a failpoint returns: the verb goes no further and tidies nothing up, as after a kill.
var errDied = errors.New("died at a failpoint")

// RunPodSandbox makes a pod's cgroup, files, namespaces and network. Asked again in the same words while the sandbox is
// ready, it answers with the same id.
func (s *Server) RunPodSandbox(ctx context.Context, r *api.RunPodSandboxRequest) (*api.RunPodSandboxResponse, error) {
	if err := checkSandbox(r); err != nil {
		return nil, err
	}
	if err := s.checkHandler(ctx, r); err != nil {
		return nil, err
	}
	rec, again, err := s.reserveSandbox(r)
	if err != nil {
		return nil, err
	}
	if again {
		return &api.RunPodSandboxResponse{PodSandboxId: rec.ID}, nil
	}
	unlock, err := s.locks.lock(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.raiseSandbox(ctx, rec); err != nil {
		return nil, fmt.Errorf("run pod sandbox %s: %w", nameOf(r.GetConfig()), err)
	}
	s.announceSandbox(rec, api.ContainerEventType_CONTAINER_CREATED_EVENT, rec.Created)
	s.announceSandbox(rec, api.ContainerEventType_CONTAINER_STARTED_EVENT, time.Now())
	return &api.RunPodSandboxResponse{PodSandboxId: rec.ID}, nil
}

// raiseSandbox takes the steps and records the outcome; a sandbox that fails is taken down again.
func (s *Server) raiseSandbox(ctx context.Context, rec *ledger.Sandbox) error {
	if s.sandboxes.Get(rec.ID) == nil {
		return errors.New("the sandbox was removed meanwhile: ask again")
	}
	err := up(s, ctx, sandboxSteps, rec)
	if err == nil {
		err = ctx.Err() // the client has given up and never learns the id
	}
	if err == nil {
		kept := *rec
		kept.Intent = ledger.Kept
		if err = s.sandboxes.Put(rec.ID, &kept); err == nil {
			return nil
		}
	}
	if errors.Is(err, errDied) {
		return err
	}
	return errors.Join(err, s.eraseSandbox(context.WithoutCancel(ctx), rec))
}

func nameOf(c *api.PodSandboxConfig) string {
	return c.GetMetadata().GetNamespace() + "/" + c.GetMetadata().GetName()
}

func checkSandbox(r *api.RunPodSandboxRequest) error {
	c := r.GetConfig()
	switch {
	case c.GetMetadata().GetName() == "" || c.GetMetadata().GetUid() == "":
		return invalid("sandbox config: metadata with name and uid must be given")
	case modes(c).GetPid() == api.NamespaceMode_TARGET || modes(c).GetNetwork() > api.NamespaceMode_NODE || modes(c).GetIpc() > api.NamespaceMode_NODE:
		return invalid("sandbox config: namespace modes must be POD, CONTAINER or NODE")
	case !hostNetwork(c) && len(c.GetHostname()) > 64:
		return invalid("sandbox config: hostname %q is longer than the 64 bytes that the kernel takes", c.GetHostname())
	}
	if parent := c.GetLinux().GetCgroupParent(); parent != "" {
		if err := cgroup.Check(parent); err != nil {
			return invalid("sandbox config: %v", err)
		}
	}
	if err := checkUsers(c); err != nil {
		return err
	}
	if err := wantedNamespaces(c).CheckSysctls(); err != nil {
		return invalid("sandbox config: %v", err)
	}
	if _, err := hostPorts(c.GetPortMappings()); err != nil {
		return err
	}
	return nil
}

// reserveSandbox writes down the intention under a new id. Name, namespace, uid and attempt together are taken once.
func (s *Server) reserveSandbox(r *api.RunPodSandboxRequest) (rec *ledger.Sandbox, again bool, err error) {
	s.naming.Lock()
	defer s.naming.Unlock()
	for _, old := range s.sandboxes.All() {
		if !proto.Equal(old.Config.GetMetadata(), r.GetConfig().GetMetadata()) {
			continue
		}
		if old.Intent == ledger.Kept && proto.Equal(old.Config.PodSandboxConfig, r.GetConfig()) && old.Handler == r.GetRuntimeHandler() && s.ready(old) {
			return old, true, nil
		}
		return nil, false, &coded{codes.AlreadyExists, fmt.Sprintf("pod sandbox %s attempt %d exists as %s (%s)",
			nameOf(r.GetConfig()), r.GetConfig().GetMetadata().GetAttempt(), old.ID, old.Intent)}
	}
	rec = &ledger.Sandbox{ID: newID(), Intent: ledger.Making, Config: ledger.SandboxSpec{PodSandboxConfig: r.GetConfig()},
		Handler: r.GetRuntimeHandler(), Boot: s.boot, Created: time.Now()}
	if path := r.GetConfig().GetLinux().GetCgroupParent(); path != "" {
		rec.OwnsPod = !s.cgroups.Exists(path) || s.ownsPodCgroup(path)
	}
	return rec, false, s.sandboxes.Note(rec.ID, rec)
}
