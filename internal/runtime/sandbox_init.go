package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pause"
	"minato.dev/minato/internal/shim"
)

// sharesPID reports whether the pod's containers see each other's processes. Such a namespace needs a process that
// outlives them all: its init.
func sharesPID(c *api.PodSandboxConfig) bool { return modes(c).GetPid() == api.NamespaceMode_POD }

func initID(sandbox string) string { return sandbox + "-init" }

// startInit runs the few instructions of package pause as process 1 of the shared pid namespace. It is a container to
// the shim, with nothing in its root but itself.
func (s *Server) startInit(ctx context.Context, p *ledger.Sandbox) error {
	if !sharesPID(p.Config.PodSandboxConfig) || s.initAlive(p) {
		return nil
	}
	bundle := filepath.Join(s.cfg.sandboxDir(p.ID), "init")
	spec := s.initSpec(p)
	if err := writeInitBundle(bundle, spec); err != nil {
		return err
	}
	if users := usersOf(p.Config.PodSandboxConfig); users != nil { // its root makes /proc and /dev there
		uid, gid, _ := users.Root()
		if err := os.Chown(spec.Root.Path, uid, gid); err != nil {
			return err
		}
	}
	pid, err := s.shim.Load().Run(ctx, shim.CreateRequest{ID: initID(p.ID), Bundle: bundle})
	if err != nil {
		return err
	}
	p.InitPID = pid
	p.InitTime, err = startTime(pid)
	return err
}

func writeInitBundle(dir string, spec *specs.Spec) error {
	if err := os.MkdirAll(spec.Root.Path, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(spec.Root.Path, "pause"), pause.Program(), 0o755); err != nil {
		return err
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600)
}

func (s *Server) initSpec(p *ledger.Sandbox) *specs.Spec {
	ns := append(s.pinned(p), specs.LinuxNamespace{Type: specs.PIDNamespace}, specs.LinuxNamespace{Type: specs.MountNamespace})
	return &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: filepath.Join(s.cfg.sandboxDir(p.ID), "init", "rootfs"), Readonly: true},
		Process: &specs.Process{Args: []string{"/pause"}, Cwd: "/", NoNewPrivileges: true, User: specs.User{UID: 65535, GID: 65535}},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}}},
		Linux:   &specs.Linux{Namespaces: ns, CgroupsPath: s.cgroupOf(p, initID(p.ID)), Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}},
	}
}

// pinned are the pod's namespaces to join.
func (s *Server) pinned(p *ledger.Sandbox) []specs.LinuxNamespace {
	n, dir := wantedNamespaces(p.Config.PodSandboxConfig), s.cfg.pinDir(p.ID)
	var out []specs.LinuxNamespace
	if n.User != nil {
		out = append(out, specs.LinuxNamespace{Type: specs.UserNamespace, Path: filepath.Join(dir, "user")})
	}
	if n.Net {
		out = append(out, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: filepath.Join(dir, "net")})
	}
	if n.IPC {
		out = append(out, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: filepath.Join(dir, "ipc")})
	}
	if n.UTS {
		out = append(out, specs.LinuxNamespace{Type: specs.UTSNamespace, Path: filepath.Join(dir, "uts")})
	}
	return out
}

func (s *Server) stopInit(ctx context.Context, p *ledger.Sandbox) error {
	if !sharesPID(p.Config.PodSandboxConfig) {
		return nil
	}
	return s.shim.Load().Delete(ctx, initID(p.ID))
}

// initAlive reports whether the init of a shared pid namespace runs, or none is needed.
func (s *Server) initAlive(p *ledger.Sandbox) bool {
	if !sharesPID(p.Config.PodSandboxConfig) {
		return true
	}
	if p.InitPID == 0 {
		return false
	}
	now, err := startTime(p.InitPID)
	return err == nil && now == p.InitTime
}

// startTime returns when a process began, in ticks since boot, which with its pid names it for good. A zombie is gone.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	text := string(data)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(f[19], 10, 64)
}
