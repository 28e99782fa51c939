package runtime

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/shimtest"
)

const testImage = "docker.io/library/busybox:test"

// machine is a node with a runtime that can be stopped and started again.
type machine struct {
	*cri.Client
	t      testing.TB
	dir    string
	cfg    Config
	cgroup string
	server *Server
	stop   func()
	n      atomic.Int64
}

var machines atomic.Int64

func newMachine(t *testing.T) *machine {
	t.Helper()
	run, err := os.MkdirTemp("/run", "mrt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o711); err != nil { // a pod's own root must come through
		t.Fatal(err)
	}
	k := machines.Add(1)
	m := &machine{t: t, dir: t.TempDir(), cgroup: fmt.Sprintf("/minato-rt-%d-%d", os.Getpid(), k)}
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := image.Open(image.Config{Dir: filepath.Join(m.dir, "images"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context(), bytes.NewReader(busybox(t, testImage, nil)), image.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	net, err := network.New(network.Config{Bridge: fmt.Sprintf("mrt%d", k), PodCIDR: netip.MustParsePrefix(fmt.Sprintf("10.99.%d.0/24", k)),
		ClusterCIDR: netip.MustParsePrefix("10.99.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.98.0.0/16"),
		StateDir: filepath.Join(m.dir, "network"), Table: fmt.Sprintf("mrt%d", k), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	m.cfg = Config{Root: filepath.Join(m.dir, "runtime"), RunDir: filepath.Join(run, "r"), Socket: filepath.Join(run, "cri.sock"),
		Shim:   shim.Config{Binary: os.Getenv(shimtest.Variable), RunDir: filepath.Join(run, "s"), Cgroup: m.cgroup + "/shim", Log: log},
		Images: store, Network: net, Log: log, Version: "1.0.0"}
	t.Cleanup(func() { m.teardown(run, net) })
	m.start()
	return m
}

// testLog puts warnings beside the test that made them.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// start makes a new Server on the same directories, as a new process would.
func (m *machine) start() {
	m.t.Helper()
	m.startWith(nil)
}

func (m *machine) startWith(failAt func(string) error) {
	m.t.Helper()
	s, err := New(m.cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	s.failAt = failAt
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		m.t.Fatalf("runtime ended: %v", err)
	}
	m.server = s
	dial, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if m.Client, err = cri.Dial(dial, m.cfg.Socket); err != nil {
		m.t.Fatal(err)
	}
	m.stop = func() {
		m.Client.Close()
		cancel()
		if err := <-ended; err != nil {
			m.t.Errorf("runtime: %v", err)
		}
		m.stop = func() {}
	}
}

func (m *machine) restart() { m.t.Helper(); m.stop(); m.start() }

// teardown removes everything and looks for what is left.
func (m *machine) teardown(run string, net *network.Network) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	list, err := m.ListPodSandbox(ctx, &api.ListPodSandboxRequest{})
	if err != nil {
		m.t.Error(err)
	}
	for _, p := range list.GetItems() {
		if _, err := m.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{PodSandboxId: p.Id}); err != nil {
			m.t.Errorf("remove %s: %v", p.Id, err)
		}
	}
	m.stop()
	client := m.server.shim.Load()
	if err := client.Shutdown(ctx); err != nil {
		m.t.Errorf("stop the shim: %v", err)
	}
	if err := net.Teardown(ctx); err != nil {
		m.t.Errorf("network: %v", err)
	}
	if err := pin.CloseRoom(m.cfg.RunDir); err != nil {
		m.t.Error(err)
	}
	if err := os.RemoveAll(run); err != nil {
		m.t.Error(err)
	}
	tree, err := cgroup.Find()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := tree.Remove(ctx, m.cgroup); err != nil {
		m.t.Error(err)
	}
}

// pod returns a sandbox configuration that nobody has used.
func (m *machine) pod() *api.PodSandboxConfig {
	n := m.n.Add(1)
	name := fmt.Sprintf("pod%d", n)
	return &api.PodSandboxConfig{
		Metadata: &api.PodSandboxMetadata{Name: name, Namespace: "default", Uid: fmt.Sprintf("uid-%d", n)},
		Hostname: name, LogDirectory: filepath.Join(m.dir, "logs", name), Labels: map[string]string{"pod": name},
		DnsConfig: &api.DNSConfig{Servers: []string{"10.96.0.10"}, Searches: []string{"default.svc.cluster.local"}, Options: []string{"ndots:5"}},
		Linux: &api.LinuxPodSandboxConfig{CgroupParent: m.cgroup + "/" + name, SecurityContext: &api.LinuxSandboxSecurityContext{
			NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER}}},
	}
}

func (m *machine) run(c *api.PodSandboxConfig) string {
	m.t.Helper()
	r, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: c})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.PodSandboxId
}

func (m *machine) ctx() context.Context { return context.Background() }

// shell returns a container that runs script.
func shell(name, script string) *api.ContainerConfig {
	return &api.ContainerConfig{
		Metadata: &api.ContainerMetadata{Name: name}, Image: &api.ImageSpec{Image: testImage}, Command: []string{"sh", "-c", script},
		LogPath: name + "/0.log", Labels: map[string]string{"name": name},
		Linux: &api.LinuxContainerConfig{Resources: &api.LinuxContainerResources{}, SecurityContext: &api.LinuxContainerSecurityContext{
			NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER},
			Seccomp:          &api.SecurityProfile{ProfileType: api.SecurityProfile_RuntimeDefault},
			MaskedPaths:      []string{"/proc/kcore", "/proc/keys"}, ReadonlyPaths: []string{"/proc/sys"}}},
	}
}

func (m *machine) create(pod string, pc *api.PodSandboxConfig, c *api.ContainerConfig) string {
	m.t.Helper()
	r, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: pc})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.ContainerId
}

func (m *machine) begin(id string) {
	m.t.Helper()
	if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: id}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) status(id string) *api.ContainerStatus {
	m.t.Helper()
	r, err := m.ContainerStatus(m.ctx(), &api.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Status
}

// ended waits until the container has exited.
func (m *machine) ended(id string) *api.ContainerStatus {
	m.t.Helper()
	var st *api.ContainerStatus
	eventually(m.t, "container "+id+" exits", func() bool {
		st = m.status(id)
		return st.State == api.ContainerState_CONTAINER_EXITED
	})
	return st
}

// output is what the container has logged, without times and tags.
func (m *machine) output(id string) string {
	m.t.Helper()
	data, err := os.ReadFile(m.status(id).LogPath)
	if err != nil {
		m.t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if f := strings.SplitN(line, " ", 4); len(f) == 4 {
			b.WriteString(f[3])
		}
	}
	return b.String()
}

// once runs a pod with one container to its end and returns what it said.
func (m *machine) once(pc *api.PodSandboxConfig, c *api.ContainerConfig) (string, *api.ContainerStatus) {
	m.t.Helper()
	pod := m.run(pc)
	id := m.create(pod, pc, c)
	m.begin(id)
	st := m.ended(id)
	out := m.output(id)
	m.remove(pod)
	return out, st
}

func (m *machine) remove(pod string) {
	m.t.Helper()
	if _, err := m.StopPodSandbox(m.ctx(), &api.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.RemovePodSandbox(m.ctx(), &api.RemovePodSandboxRequest{PodSandboxId: pod}); err != nil {
		m.t.Fatal(err)
	}
}

// exec runs a command in the container.
func (m *machine) exec(id string, cmd ...string) (string, int32) {
	m.t.Helper()
	r, err := m.ExecSync(m.ctx(), &api.ExecSyncRequest{ContainerId: id, Cmd: cmd, Timeout: 60})
	if err != nil {
		m.t.Fatal(err)
	}
	return string(r.Stdout) + string(r.Stderr), r.ExitCode
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}
