package runtime

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
)

// attacker builds the program that tries to get out, and returns a mount of it.
func attacker(t *testing.T) *api.Mount {
	t.Helper()
	path := filepath.Join(t.TempDir(), "attack")
	build := exec.Command("go", "build", "-o", path, "./testdata/attack")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return &api.Mount{HostPath: path, ContainerPath: "/attack", Readonly: true}
}

// victim is a file of the node that no container may see, in a directory that all may enter.
func victim(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "victim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("of the node\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// masked is what a kubelet has masked and read-only.
func masked(c *api.ContainerConfig) {
	sec := c.Linux.SecurityContext
	sec.MaskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	sec.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// TestEscapes is a table of ways out of a container as a kubelet makes it for a pod that asks for nothing, as root. Each
// must be refused.
func TestEscapes(t *testing.T) {
	m, program, secret := newMachine(t), attacker(t), victim(t)
	unconfined := func(c *api.ContainerConfig) {
		c.Linux.SecurityContext.Seccomp.ProfileType = api.SecurityProfile_Unconfined
	}
	every := func(c *api.ContainerConfig) {
		unconfined(c)
		c.Linux.SecurityContext.Capabilities = &api.Capability{AddCapabilities: []string{"SYS_ADMIN"}}
	}
	pc := m.pod()
	pod := m.run(pc)
	for i, c := range []struct {
		name string
		args []string
		edit func(*api.ContainerConfig)
	}{
		{"a chroot within the root", []string{"chroot", secret}, nil},
		{"a chroot within the root, with every right", []string{"chroot", secret}, every},
		{"a file handle", []string{"handle"}, nil},
		{"a file handle without a filter", []string{"handle"}, unconfined},
		{"system calls", []string{"calls"}, nil},
		{"system calls of a user", []string{"calls"}, func(c *api.ContainerConfig) { c.Linux.SecurityContext.RunAsUser = &api.Int64Value{Value: 1000} }},
		{"descriptors", []string{"descriptors", secret}, nil},
		{"descriptors, without a filter", []string{"descriptors", secret}, unconfined},
		{"the release agent of a cgroup", []string{"cgroup"}, nil},
		{"nodes of devices", []string{"device"}, nil},
		{"nodes of devices, with every right", []string{"device"}, every},
		{"writing what is the machine's", []string{"write"}, nil},
		{"uncovering what is masked", []string{"unmask"}, nil},
		{"processes of others", []string{"signal", strconv.Itoa(os.Getpid())}, nil},
		{"packets of others", []string{"raw"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := shell(fmt.Sprint("c", i), "")
			masked(cfg)
			cfg.Command, cfg.Mounts = append([]string{"/attack"}, c.args...), []*api.Mount{program}
			if c.edit != nil {
				c.edit(cfg)
			}
			m := &machine{Client: m.Client, t: t, cfg: m.cfg, server: m.server}
			id := m.create(pod, pc, cfg)
			m.begin(id)
			st := m.ended(id)
			if out := m.output(id); !strings.HasPrefix(out, "refused:") {
				t.Errorf("%q (exit %d %s)", out, st.ExitCode, st.Message)
			}
			// The same from an exec, which enters by another way.
			idle := proto.CloneOf(cfg)
			idle.Metadata.Name, idle.Command = fmt.Sprint("idle", i), []string{"sleep", "1000"}
			id = m.create(pod, pc, idle)
			m.begin(id)
			if out, code := m.exec(id, cfg.Command...); !strings.HasPrefix(out, "refused:") {
				t.Errorf("by exec: %q (exit %d)", out, code)
			}
		})
	}
}

// TestAttacksWork: where a container may do everything, those attacks succeed that then should. What is refused elsewhere is
// so for a reason.
func TestAttacksWork(t *testing.T) {
	m, program := newMachine(t), attacker(t)
	pc := m.pod()
	pc.Linux.SecurityContext.Privileged = true
	pod := m.run(pc)
	for _, name := range []string{"device", "write", "unmask", "calls"} {
		c := shell(name, "")
		c.Command, c.Mounts = []string{"/attack", name}, []*api.Mount{program}
		c.Linux.SecurityContext.Privileged, c.Linux.SecurityContext.MaskedPaths, c.Linux.SecurityContext.ReadonlyPaths = true, nil, nil
		id := m.create(pod, pc, c)
		m.begin(id)
		m.ended(id)
		if out := m.output(id); !strings.HasPrefix(out, "ESCAPED:") {
			t.Errorf("%s: %q", name, out)
		}
	}
	m.remove(pod)
}

// TestTheShimCannotBeOverwritten: who runs beside the start of containers, and sees their processes, meets the program
// that makes them and cannot open it for writing; nor can an image that makes it execute itself. The file stays as it is.
func TestTheShimCannotBeOverwritten(t *testing.T) {
	m, program := newMachine(t), attacker(t)
	before := sumOf(t, m.cfg.Shim.Binary)
	pc := m.pod()
	pc.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	pod := m.run(pc)
	container := func(name string, args ...string) string {
		c := shell(name, "")
		c.Command, c.Mounts = args, []*api.Mount{program}
		sec := c.Linux.SecurityContext
		sec.NamespaceOptions.Pid, sec.Seccomp.ProfileType = api.NamespaceMode_POD, api.SecurityProfile_Unconfined
		sec.Capabilities = &api.Capability{AddCapabilities: []string{"SYS_PTRACE"}}
		return m.create(pod, pc, c)
	}
	watcher := container("watcher", "/attack", "exe", "1s")
	m.begin(watcher)
	for i := 0; m.status(watcher).State == api.ContainerState_CONTAINER_RUNNING; i++ {
		id := container(fmt.Sprint("c", i), []string{"/proc/self/exe", "true"}[i%2])
		if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: id}); err == nil && i%2 == 1 {
			_, _ = m.ExecSync(m.ctx(), &api.ExecSyncRequest{ContainerId: watcher, Cmd: []string{"/proc/self/exe", "init"}, Timeout: 5})
		}
		if _, err := m.RemoveContainer(m.ctx(), &api.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Fatal(err)
		}
	}
	if out := m.output(watcher); !strings.HasPrefix(out, "refused: met") {
		t.Errorf("%q (%v)", out, m.status(watcher))
	}
	if after := sumOf(t, m.cfg.Shim.Binary); after != before {
		t.Error("the shim's file has changed")
	}
	m.remove(pod)
}

func sumOf(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// TestWorkingDirectoriesThatLeak: a working directory that names a descriptor leads nowhere (CVE-2024-21626).
func TestWorkingDirectoriesThatLeak(t *testing.T) {
	m, secret := newMachine(t), victim(t)
	pc := m.pod()
	pod := m.run(pc)
	idle := m.create(pod, pc, shell("idle", "exec sleep 1000"))
	m.begin(idle)
	for fd := 3; fd < 12; fd++ {
		for _, dir := range []string{fmt.Sprintf("/proc/self/fd/%d", fd), fmt.Sprintf("/proc/1/fd/%d/../../..", fd)} {
			c := shell(fmt.Sprintf("c%d", machines.Add(1)), "cat ../../../../../../../../.."+secret+" 2>/dev/null || echo refused")
			c.WorkingDir = dir
			r, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: pc})
			if err != nil {
				continue
			}
			if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: r.ContainerId}); err != nil {
				continue
			}
			m.ended(r.ContainerId)
			if out := m.output(r.ContainerId); strings.Contains(out, "of the node") {
				t.Errorf("%s: %q", dir, out)
			}
		}
	}
	m.remove(pod)
}

// TestLinksOfAnImage: wherever an image has a link to the node in the place of something that the runtime reads, makes
// or mounts, the node is left alone, and nothing of it is seen.
func TestLinksOfAnImage(t *testing.T) {
	m, secret := newMachine(t), victim(t)
	store := m.cfg.Images.(*image.Store)
	up := "../../../../../../../../.."
	for i, c := range []struct {
		name  string
		links map[string]string
		edit  func(*api.ContainerConfig)
		bad   string // words that mean an escape
	}{
		{"accounts", map[string]string{"etc/passwd": up + secret, "etc/group": secret}, nil, "of the node"},
		{"the pod's files", map[string]string{"etc/hosts": secret, "etc/resolv.conf": up + secret, "etc/hostname": secret}, nil, "of the node"},
		{"a directory of the pod's files", map[string]string{"etc": filepath.Dir(secret)}, nil, "of the node"},
		{"the place of a volume", map[string]string{"v": filepath.Dir(secret), "w": up + filepath.Dir(secret)}, func(c *api.ContainerConfig) {
			c.Mounts = []*api.Mount{{HostPath: t.TempDir(), ContainerPath: "/v"}, {HostPath: t.TempDir(), ContainerPath: "/w/new/deep"}}
		}, "of the node"},
		{"a part of it as a volume", map[string]string{"part": filepath.Dir(secret)}, func(c *api.ContainerConfig) {
			c.Mounts = []*api.Mount{{Image: &api.ImageSpec{Image: c.Image.Image}, ImageSubPath: "part", ContainerPath: "/v", Readonly: true}}
		}, "of the node"},
		{"the working directory", map[string]string{"work": filepath.Dir(secret), "deep": up + filepath.Dir(secret)}, func(c *api.ContainerConfig) { c.WorkingDir = "/deep/new" }, "of the node"},
		{"the place of a device", map[string]string{"d": filepath.Dir(secret)}, func(c *api.ContainerConfig) {
			c.Devices = []*api.Device{{HostPath: "/dev/null", ContainerPath: "/d/null", Permissions: "rwm"}}
		}, "of the node"},
		{"proc", map[string]string{"proc": filepath.Dir(secret)}, nil, "of the node"},
		{"sys and dev", map[string]string{"sys": filepath.Dir(secret), "dev": up + filepath.Dir(secret)}, nil, "of the node"},
		{"shared memory", map[string]string{"dev/shm": filepath.Dir(secret)}, nil, "of the node"},
	} {
		name := fmt.Sprintf("docker.io/library/links:%d", i)
		if _, err := store.Load(t.Context(), bytes.NewReader(linked(t, name, c.links)), image.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		cfg := shell("c", `for f in /etc/passwd /etc/hosts /etc/resolv.conf /etc/hostname /v/secret /w/secret /part/secret ./secret ../secret /d/secret /proc/secret /sys/secret /dev/secret /dev/shm/secret /etc/secret; do cat $f 2>/dev/null; done; touch ./made /v/made /w/made /etc/made /dev/shm/made 2>/dev/null; echo end`)
		cfg.Image.Image = name
		if c.edit != nil {
			c.edit(cfg)
		}
		pc := m.pod()
		pod := m.run(pc)
		r, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: cfg, SandboxConfig: pc})
		if err == nil {
			_, err = m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: r.ContainerId})
		}
		if err == nil {
			m.ended(r.ContainerId)
			if out := m.output(r.ContainerId); strings.Contains(out, c.bad) {
				t.Errorf("%s: %q", c.name, out)
			}
		}
		if left, e := os.ReadDir(filepath.Dir(secret)); e != nil || len(left) != 1 {
			t.Fatalf("%s: the node's directory has %v (%v)", c.name, left, err)
		}
		if text, e := os.ReadFile(secret); e != nil || string(text) != "of the node\n" {
			t.Fatalf("%s: the node's file is %q, %v", c.name, text, e)
		}
		m.remove(pod)
	}
}
