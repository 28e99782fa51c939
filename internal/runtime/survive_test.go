package runtime

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pods is how many TestNothingIsLeft makes: make chaos asks for more.
var pods = flag.Int("pods", 100, "pods of TestNothingIsLeft")

// TestForkingWithoutEnd: a container that fills its pod with processes is stopped all the same, and nothing of it stays.
func TestForkingWithoutEnd(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pod := m.run(pc)
	limit := ""
	for _, dir := range m.server.cgroups.Dirs(pc.Linux.CgroupParent) {
		if err := os.MkdirAll(dir, 0o755); err != nil { // as a kubelet does
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "pids.max")); err == nil {
			limit = filepath.Join(dir, "pids.max")
		}
	}
	if err := os.WriteFile(limit, []byte("100"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := shell("bomb", "")
	c.Command, c.Mounts, c.LogPath = []string{"/attack", "fork"}, []*api.Mount{attacker(t)}, ""
	c.Linux.Resources.CpuPeriod, c.Linux.Resources.CpuQuota = 100000, 20000 // it is not the neighbours' test
	id := m.create(pod, pc, c)
	m.begin(id)
	current := filepath.Join(filepath.Dir(limit), "pids.current")
	eventually(t, "the pod is full of processes", func() bool {
		text, err := os.ReadFile(current)
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && n > 90
	})
	if _, err := m.ExecSync(m.ctx(), &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"true"}, Timeout: 5}); err == nil {
		t.Log("an exec found room")
	}
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: id, Timeout: 1}); err != nil {
		t.Fatal(err)
	}
	if st := m.status(id); st.State != api.ContainerState_CONTAINER_EXITED || st.ExitCode != 137 {
		t.Errorf("%v", st)
	}
	eventually(t, "no process is left", func() bool {
		text, err := os.ReadFile(current)
		return os.IsNotExist(err) || strings.TrimSpace(string(text)) == "0"
	})
	m.remove(pod)
	nothingLeft(t, m, "a fork bomb")
}

// TestRootsThatAreHeld: somebody on the node who has a container's file open, or works in its root, does not keep it.
func TestRootsThatAreHeld(t *testing.T) {
	m := newMachine(t)
	pod, id := m.sleeper(nil)
	root := m.cfg.rootfs(id)
	f, err := os.Create(filepath.Join(root, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	m.remove(pod)
	nothingLeft(t, m, "a root that is held")
}

// TestClocksThatJump: what the clock of the wall says has no say in rates and sizes.
func TestClocksThatJump(t *testing.T) {
	m := newMachine(t)
	pod, id := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "echo words >/data/own; while true; do :; done"}
	})
	eventually(t, "it has written", func() bool { _, code := m.exec(id, "test", "-s", "/data/own"); return code == 0 })
	rec := m.server.containers.Get(id)
	now := time.Now().Round(0) // of the wall alone
	for _, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour, -23 * time.Hour, 10 * 365 * 24 * time.Hour} {
		st, err := m.server.statsOf(rec, now.Add(jump))
		if err != nil {
			t.Fatal(err)
		}
		if v := st.Cpu.UsageNanoCores.GetValue(); v > 64e9 {
			t.Errorf("after a jump of %v: %d nanocores", jump, v)
		}
		if st.WritableLayer.UsedBytes.GetValue() == 0 {
			t.Errorf("after a jump of %v: no layer", jump)
		}
	}
	m.remove(pod)
	nothingLeft(t, m, "jumps of the clock")
}
