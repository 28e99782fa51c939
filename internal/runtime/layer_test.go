package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestLayerGoesOn: containers that name the same layer go on with what the one before wrote, in another sandbox and after
// a restart too; nobody else writes to it, and it goes with the last of them.
func TestLayerGoesOn(t *testing.T) {
	m := newMachine(t)
	named := func(attempt uint32, script string) *api.ContainerConfig {
		c := shell("main", script)
		c.Metadata.Attempt = attempt
		c.Annotations = map[string]string{Layer: "abc123"}
		return c
	}
	layer := filepath.Join(m.cfg.Root, "layers", "abc123")
	pc := m.pod()
	first := m.run(pc)
	one := m.create(first, pc, named(0, "echo one >> /f; chown 5:6 /f; echo done; exec sleep 1000"))
	if _, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: first, Config: named(1, "true"), SandboxConfig: pc}); err == nil || !strings.Contains(err.Error(), "has not ended") {
		t.Errorf("two write to one layer: %v", err)
	}
	m.begin(one)
	eventually(t, "the first has written", func() bool { return m.output(one) == "done\n" })
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: one}); err != nil {
		t.Fatal(err)
	}
	two := m.create(first, pc, named(1, "echo two >> /f"))
	m.begin(two)
	m.ended(two)
	if _, err := m.RemoveContainer(m.ctx(), &api.RemoveContainerRequest{ContainerId: one}); err != nil {
		t.Fatal(err)
	}
	m.restart()
	pc2 := m.pod()
	second := m.run(pc2)
	three := m.create(second, pc2, named(0, "cat /f; ls -ln /f | tr -s ' ' | cut -d' ' -f3,4"))
	m.begin(three)
	m.ended(three)
	if out := m.output(three); out != "one\ntwo\n5 6\n" {
		t.Errorf("the third sees %q", out)
	}
	m.remove(first)
	if _, err := os.Stat(layer); err != nil {
		t.Errorf("the layer went with the sandbox of another container: %v", err)
	}
	m.remove(second)
	if _, err := os.Stat(layer); !os.IsNotExist(err) {
		t.Errorf("the layer is there after its last container: %v", err)
	}
	pc = m.pod()
	pod := m.run(pc)
	bad := named(0, "true")
	bad.Annotations[Layer] = "../x"
	if _, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: bad, SandboxConfig: pc}); err == nil || !strings.Contains(err.Error(), "lower case") {
		t.Errorf("a name that is a path: %v", err)
	}
	m.remove(pod)
}
