package runtime

import (
	"os"
	"strings"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/cri"
)

func TestAPodLives(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pod := m.run(pc)
	st, err := m.PodSandboxStatus(m.ctx(), &api.PodSandboxStatusRequest{PodSandboxId: pod, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	if st.Status.State != api.PodSandboxState_SANDBOX_READY || st.Status.Network.Ip == "" || st.Info["info"] == "" {
		t.Errorf("sandbox: %v", st)
	}
	if again := m.run(pc); again != pod {
		t.Errorf("asked again, got another sandbox")
	}
	id := m.create(pod, pc, shell("main", "echo hello; hostname; cat /etc/resolv.conf; exec sleep 1000"))
	if got := m.status(id); got.State != api.ContainerState_CONTAINER_CREATED || got.CreatedAt == 0 || got.StartedAt != 0 {
		t.Errorf("created: %v", got)
	}
	if again := m.create(pod, pc, shell("main", "echo hello; hostname; cat /etc/resolv.conf; exec sleep 1000")); again != id {
		t.Errorf("asked again, got another container")
	}
	m.begin(id)
	got := m.status(id)
	if got.State != api.ContainerState_CONTAINER_RUNNING || got.StartedAt == 0 || got.ImageId == "" {
		t.Errorf("running: %v", got)
	}
	eventually(t, "log", func() bool { return strings.Contains(m.output(id), "ndots:5") })
	want := "hello\n" + pc.Hostname + "\nsearch default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
	if out := m.output(id); out != want {
		t.Errorf("log %q, want %q", out, want)
	}
	if out, code := m.exec(id, "sh", "-c", "echo out; echo err >&2; exit 3"); out != "out\nerr\n" || code != 3 {
		t.Errorf("exec: %q %d", out, code)
	}
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: id, Timeout: 0}); err != nil {
		t.Fatal(err)
	}
	if got := m.status(id); got.State != api.ContainerState_CONTAINER_EXITED || got.ExitCode != 137 || got.FinishedAt < got.StartedAt || got.Reason != "Error" {
		t.Errorf("stopped: %v", got)
	}
	log := got.LogPath
	for range 2 {
		if _, err := m.RemoveContainer(m.ctx(), &api.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Fatal(err)
		}
		m.remove(pod)
	}
	if _, err := os.Stat(log); err != nil {
		t.Errorf("the log went with the container: %v", err)
	}
	if _, err := m.ContainerStatus(m.ctx(), &api.ContainerStatusRequest{ContainerId: id}); !cri.IsNotFound(err) {
		t.Errorf("status of a removed container: %v", err)
	}
	if _, err := m.PodSandboxStatus(m.ctx(), &api.PodSandboxStatusRequest{PodSandboxId: pod}); !cri.IsNotFound(err) {
		t.Errorf("status of a removed sandbox: %v", err)
	}
}
