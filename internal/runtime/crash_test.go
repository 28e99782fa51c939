package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/shim"
)

// death stops a server at the nth point that it reaches, and at every one after.
type death struct {
	mu    sync.Mutex
	at, n int
	where string
}

func (d *death) fail(point string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	if d.n < d.at {
		return nil
	}
	if d.where == "" {
		d.where = point
	}
	return errDied
}

// live is a pod's whole life; it ends at the first error.
func live(m *machine, pc *api.PodSandboxConfig) (pod, container string, err error) {
	r, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: pc})
	if err != nil {
		return "", "", err
	}
	pod = r.PodSandboxId
	c, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: shell("c", "exec sleep 1000"), SandboxConfig: pc})
	if err != nil {
		return pod, "", err
	}
	container = c.ContainerId
	if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: container}); err != nil {
		return pod, container, err
	}
	if _, err := m.StopPodSandbox(m.ctx(), &api.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		return pod, container, err
	}
	_, err = m.RemovePodSandbox(m.ctx(), &api.RemovePodSandboxRequest{PodSandboxId: pod})
	return pod, container, err
}

// TestDyingAnywhereIsMended kills the runtime at each point of a pod's life in turn. The next start must show a
// consistent pod or none, let the client remove it, and leave nothing.
func TestDyingAnywhereIsMended(t *testing.T) {
	m := newMachine(t)
	m.stop()
	for at := 1; ; at++ {
		d := &death{at: at}
		m.startWith(d.fail)
		pc := m.pod()
		pc.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
		pod, container, err := live(m, pc)
		m.stop()
		m.start()
		if err == nil {
			t.Logf("%d points", at-1)
			break
		}
		if !strings.Contains(err.Error(), errDied.Error()) {
			t.Fatalf("at %d %q: %v", at, d.where, err)
		}
		consistent(t, m, d.where, pod, container)
		list, err := m.ListPodSandbox(m.ctx(), &api.ListPodSandboxRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			m.remove(p.Id)
		}
		nothingLeft(t, m, d.where)
		m.stop()
	}
}

// consistent checks what a client that had these ids from a dead runtime now sees.
func consistent(t *testing.T, m *machine, where, pod, container string) {
	t.Helper()
	for _, c := range m.server.containers.All() {
		if c.ID != container {
			t.Errorf("%s: container %s that nobody knows", where, c.ID)
		}
		st, err := m.server.shim.Load().State(m.ctx(), c.ID)
		running := err == nil && st.Status == shim.Running
		if err != nil && !errors.Is(err, shim.ErrNotFound) {
			t.Error(err)
		}
		if says := c.State() == api.ContainerState_CONTAINER_RUNNING; says != running {
			t.Errorf("%s: the record says %v, the shim %v %v", where, c.State(), st.Status, err)
		}
	}
	for _, p := range m.server.sandboxes.All() {
		if p.ID != pod {
			t.Errorf("%s: sandbox %s that nobody knows", where, p.ID)
		}
	}
}

// nothingLeft looks in the kernel and on disk.
func nothingLeft(t *testing.T, m *machine, where string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.cfg.RunDir+"/") {
			t.Errorf("%s: mount left: %s", where, line)
		}
	}
	for _, dir := range []string{m.cfg.Root + "/containers", m.cfg.RunDir + "/containers", m.cfg.RunDir + "/sandboxes"} {
		if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
			t.Errorf("%s: %d entries left in %s: %v", where, len(left), dir, left)
		}
	}
	sandboxes, err1 := ledger.Read[ledger.Sandbox](m.cfg.Root + "/ledger/sandboxes.journal")
	containers, err2 := ledger.Read[ledger.Container](m.cfg.Root + "/ledger/containers.journal")
	if len(sandboxes)+len(containers) > 0 || err1 != nil || err2 != nil {
		t.Errorf("%s: records left: %v %v %v %v", where, sandboxes, containers, err1, err2)
	}
	for _, dir := range m.server.cgroups.Dirs(m.cgroup) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), "pod") {
				t.Errorf("%s: cgroup left: %s", where, filepath.Join(dir, e.Name()))
			}
		}
	}
	states, _, err := m.server.shim.Load().List(m.ctx())
	if err != nil || len(states) > 0 {
		t.Errorf("%s: the shim has %v %v", where, states, err)
	}
}

// TestRunningContainersAreAdopted restarts the runtime under a running pod; an exit that falls in between is reported.
func TestRunningContainersAreAdopted(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pod := m.run(pc)
	stays := m.create(pod, pc, shell("stays", "while sleep 0.01; do echo tick; done"))
	ends := m.create(pod, pc, shell("ends", "cat /dev/shm/never; until test -e /dev/shm/go; do sleep 0.01; done; exit 5"))
	m.begin(stays)
	m.begin(ends)
	before := m.status(stays)
	m.stop()
	if err := os.WriteFile(filepath.Join(m.cfg.RunDir, "sandboxes", pod, "shm", "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.waitExited(ends)
	m.start()
	if st := m.status(ends); st.State != api.ContainerState_CONTAINER_EXITED || st.ExitCode != 5 {
		t.Errorf("the exit in between: %v", st)
	}
	if st := m.status(stays); st.State != api.ContainerState_CONTAINER_RUNNING || st.StartedAt != before.StartedAt {
		t.Errorf("adopted: %v", st)
	}
	if out, code := m.exec(stays, "echo", "still here"); out != "still here\n" || code != 0 {
		t.Errorf("exec after adoption: %q %d", out, code)
	}
	size := len(m.output(stays))
	eventually(t, "the log goes on", func() bool { return len(m.output(stays)) > size })
	if st, err := m.PodSandboxStatus(m.ctx(), &api.PodSandboxStatusRequest{PodSandboxId: pod}); err != nil || st.Status.State != api.PodSandboxState_SANDBOX_READY || st.Status.Network.Ip == "" {
		t.Errorf("sandbox: %v %v", st, err)
	}
}

// waitExited asks the shim, since no runtime runs.
func (m *machine) waitExited(id string) {
	m.t.Helper()
	if _, err := m.server.shim.Load().Wait(m.ctx(), id); err != nil {
		m.t.Fatal(err)
	}
}

// TestAfterAReboot takes away what a reboot takes: processes, mounts, everything volatile. State is kept.
func TestAfterAReboot(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pod := m.run(pc)
	id := m.create(pod, pc, shell("c", "exec sleep 1000"))
	waiting := m.create(pod, pc, shell("waiting", "true"))
	m.begin(id)
	m.stop()
	if err := m.server.shim.Load().Delete(m.ctx(), id); err != nil {
		t.Fatal(err)
	}
	if err := pin.CloseRoom(m.cfg.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := m.server.cgroups.Remove(m.ctx(), pc.Linux.CgroupParent); err != nil {
		t.Fatal(err)
	}
	m.start()
	if st := m.status(id); st.State != api.ContainerState_CONTAINER_EXITED || st.ExitCode != 255 || st.Reason != "Unknown" {
		t.Errorf("container: %v", st)
	}
	st, err := m.PodSandboxStatus(m.ctx(), &api.PodSandboxStatusRequest{PodSandboxId: pod})
	if err != nil || st.Status.State != api.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("sandbox: %v %v", st, err)
	}
	if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: waiting}); err == nil {
		t.Error("a container started in a sandbox that is gone")
	}
	m.remove(pod)
	nothingLeft(t, m, "reboot")
}

// TestNothingIsLeft counts before and after many pods.
func TestNothingIsLeft(t *testing.T) {
	m := newMachine(t)
	m.remove(m.run(m.pod())) // what stays from the first pod on (bridge, tables) is there
	before := count(t, m)
	n := *pods
	for i := range n {
		pc := m.pod()
		pod := m.run(pc)
		if i%4 == 0 {
			m.begin(m.create(pod, pc, shell("c", "exec sleep 1000")))
		}
		m.remove(pod)
	}
	nothingLeft(t, m, fmt.Sprintf("%d pods", n))
	var after tally
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("before %+v, after %+v", before, after)
		}
	})
	// Fewer is fine: the first pod's link may still have been going when it was counted.
	eventually(t, "no more links, files, mounts and cgroups than before", func() bool {
		after = count(t, m)
		return after.mounts <= before.mounts && after.links <= before.links && after.files <= before.files && after.cgroups <= before.cgroups
	})
}

// tally is what can leak on the machine and in this process.
type tally struct{ mounts, links, files, cgroups int }

func count(t *testing.T, m *machine) tally {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	dev, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	groups := 0
	for _, dir := range m.server.cgroups.Dirs(m.cgroup) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() {
				groups++
			}
		}
	}
	return tally{strings.Count(string(mounts), m.cfg.RunDir), strings.Count(string(dev), "\n"), len(files), groups}
}
