package runtime

import (
	"fmt"
	"math"
	"path/filepath"
	"syscall"

	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
)

// userOptions are a pod's wishes for a user namespace of its own; nil where it shares the node's.
func userOptions(c *api.PodSandboxConfig) *api.UserNamespace {
	if o := modes(c).GetUsernsOptions(); o != nil && o.GetMode() == api.NamespaceMode_POD {
		return o
	}
	return nil
}

// usersOf are the mappings of a pod's user namespace; nil where it shares the node's.
func usersOf(c *api.PodSandboxConfig) *pin.Users {
	o := userOptions(c)
	if o == nil {
		return nil
	}
	return &pin.Users{UIDs: idMaps(o.GetUids()), GIDs: idMaps(o.GetGids())}
}

func idMaps(in []*api.IDMapping) (out []syscall.SysProcIDMap) {
	for _, m := range in {
		out = append(out, syscall.SysProcIDMap{ContainerID: int(m.GetContainerId()), HostID: int(m.GetHostId()), Size: int(m.GetLength())})
	}
	return out
}

// checkUsers refuses what makes no user namespace that containers could run in, and what would give it the node's things.
func checkUsers(c *api.PodSandboxConfig) error {
	o := modes(c).GetUsernsOptions()
	if o == nil || o.GetMode() == api.NamespaceMode_NODE {
		if len(o.GetUids())+len(o.GetGids()) > 0 {
			return invalid("sandbox config: a pod of the node's user namespace has no mappings")
		}
		return nil
	}
	if o.GetMode() != api.NamespaceMode_POD {
		return invalid("sandbox config: user namespace mode must be POD or NODE")
	}
	if !pin.CanShift() {
		return precondition("user namespaces need Linux 6.3 or newer, and user.max_user_namespaces above 0")
	}
	if hostNetwork(c) || hostIPC(c) || modes(c).GetPid() == api.NamespaceMode_NODE {
		return invalid("sandbox config: a pod with a user namespace cannot use the node's network, ipc or pid namespace")
	}
	for what, maps := range map[string][]*api.IDMapping{"uids": o.GetUids(), "gids": o.GetGids()} {
		if err := checkMaps(maps); err != nil {
			return invalid("sandbox config: user namespace: %s: %v", what, err)
		}
	}
	if _, _, ok := usersOf(c).Root(); !ok {
		return invalid("sandbox config: user namespace: root must be mapped")
	}
	return nil
}

func checkMaps(maps []*api.IDMapping) error {
	if len(maps) == 0 {
		return fmt.Errorf("no mapping")
	}
	for _, m := range maps {
		if m.GetLength() == 0 || uint64(m.GetHostId())+uint64(m.GetLength()) > math.MaxUint32 || uint64(m.GetContainerId())+uint64(m.GetLength()) > math.MaxUint32 {
			return fmt.Errorf("%d to %d, %d of them: not a range", m.GetContainerId(), m.GetHostId(), m.GetLength())
		}
	}
	return nil
}

// checkContainerUsers: all containers of a pod live in its user namespace.
func checkContainerUsers(p *ledger.Sandbox, c *api.ContainerConfig) error {
	o := c.GetLinux().GetSecurityContext().GetNamespaceOptions().GetUsernsOptions()
	if o == nil || proto.Equal(o, modes(p.Config.PodSandboxConfig).GetUsernsOptions()) || o.GetMode() == api.NamespaceMode_NODE && userOptions(p.Config.PodSandboxConfig) == nil {
		return nil
	}
	return invalid("container config: its user namespace differs from the pod's")
}

// shifted is an overlay as a pod's user namespace needs it.
func (s *Server) shifted(p *ledger.Sandbox, o pin.Overlay) pin.Overlay {
	if users := usersOf(p.Config.PodSandboxConfig); users != nil {
		o.Users = filepath.Join(s.cfg.pinDir(p.ID), "user")
		o.UID, o.GID, _ = users.Root()
	}
	return o
}
