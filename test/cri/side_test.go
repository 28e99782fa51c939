package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// A side is a runtime that answers.
type side struct {
	*cri.Client
	name, dir string // dir is for logs and volumes
	cgroup    string
	dial      func(ctx context.Context, network, address string) (net.Conn, error) // from where the runtime is
	listen    func(network, address string) (net.Listener, error)                  // where the runtime is
	n         atomic.Int64
	shared    *api.PodSandboxConfig // a pod for all containers that need none of their own
	sharedID  string
	handler   string // that pods run by which name none
}

// RunPodSandbox runs it by the side's handler.
func (s *side) RunPodSandbox(ctx context.Context, r *api.RunPodSandboxRequest) (*api.RunPodSandboxResponse, error) {
	if r.RuntimeHandler == "" {
		r.RuntimeHandler = s.handler
	}
	return s.Client.RunPodSandbox(ctx, r)
}

// share makes the shared pod.
func (s *side) share(t *testing.T) {
	s.shared = s.podConfig()
	r, err := s.RunPodSandbox(t.Context(), &api.RunPodSandboxRequest{Config: s.shared})
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	s.sharedID = r.PodSandboxId
	t.Cleanup(func() {
		if err := s.removePod(s.sharedID); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	})
}

func (s *side) podConfig() *api.PodSandboxConfig {
	n := s.n.Add(1)
	name := fmt.Sprintf("pod%d", n)
	return &api.PodSandboxConfig{
		Metadata: &api.PodSandboxMetadata{Name: name, Namespace: "default", Uid: fmt.Sprintf("uid-%d", n)},
		Hostname: name, LogDirectory: filepath.Join(s.dir, "logs", name), Labels: map[string]string{"pod": name, "of": "critest"},
		Annotations: map[string]string{"note": "a pod"},
		DnsConfig:   &api.DNSConfig{Servers: []string{"10.97.0.10"}, Searches: []string{"default.svc.cluster.local"}, Options: []string{"ndots:5"}},
		Linux: &api.LinuxPodSandboxConfig{CgroupParent: s.cgroup + "/" + name, SecurityContext: &api.LinuxSandboxSecurityContext{
			NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER}}},
	}
}

func (s *side) removePod(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.StopPodSandbox(ctx, &api.StopPodSandboxRequest{PodSandboxId: id})
	_, err2 := s.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{PodSandboxId: id})
	return errors.Join(err, err2)
}

// A run is one case against one side. What the case finds out is written into its transcript.
type run struct {
	*side
	ctx     context.Context
	out     strings.Builder
	pods    []string
	made    []string // containers in the shared pod
	volumes []string // mounts of the node, the deepest first
}

// over ends a case early: the transcript says why.
type over struct{}

// say writes a line.
func (r *run) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.out.WriteString(strings.TrimSuffix(text, "\n") + "\n")
}

// code writes what became of a call: its gRPC code.
func (r *run) code(what string, err error) { r.say("%s: %s", what, status.Code(err)) }

// refused writes whether a call was refused, where its code is nobody's business.
func (r *run) refused(what string, err error) {
	r.say("%s: %s", what, map[bool]string{false: "done", true: "refused"}[err != nil])
}

// must ends the case where a call failed that it builds upon.
func (r *run) must(what string, err error) {
	if err != nil {
		r.say("%s FAILED: %v", what, err)
		panic(over{})
	}
}

// pod runs a sandbox of its own.
func (r *run) pod(edit func(*api.PodSandboxConfig)) (string, *api.PodSandboxConfig) {
	c := r.podConfig()
	if edit != nil {
		edit(c)
	}
	return r.runPod(c), c
}

func (r *run) runPod(c *api.PodSandboxConfig) string {
	p, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: c})
	r.must("run pod", err)
	r.pods = append(r.pods, p.PodSandboxId)
	return p.PodSandboxId
}

// shell is a container that runs a script.
func (r *run) shell(script string) *api.ContainerConfig {
	name := fmt.Sprintf("c%d", r.n.Add(1))
	return &api.ContainerConfig{
		Metadata: &api.ContainerMetadata{Name: name}, Image: &api.ImageSpec{Image: toolbox}, Command: []string{"sh", "-c", script},
		LogPath: name + ".log", Labels: map[string]string{"name": name, "of": "critest"}, Annotations: map[string]string{"note": "a container"},
		Linux: &api.LinuxContainerConfig{Resources: &api.LinuxContainerResources{}, SecurityContext: &api.LinuxContainerSecurityContext{
			NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER},
			Seccomp:          &api.SecurityProfile{ProfileType: api.SecurityProfile_RuntimeDefault},
			MaskedPaths:      []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"}, ReadonlyPaths: []string{"/proc/sys", "/proc/sysrq-trigger"}}},
	}
}

func (r *run) create(pod string, pc *api.PodSandboxConfig, c *api.ContainerConfig) string {
	id, err := r.tryCreate(pod, pc, c)
	r.must("create", err)
	return id
}

func (r *run) tryCreate(pod string, pc *api.PodSandboxConfig, c *api.ContainerConfig) (string, error) {
	if err := os.MkdirAll(pc.LogDirectory, 0o755); err != nil {
		return "", err
	}
	x, err := r.CreateContainer(r.ctx, &api.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: pc})
	if err == nil && pod == r.sharedID {
		r.made = append(r.made, x.ContainerId)
	}
	return x.GetContainerId(), err
}

func (r *run) start(id string) {
	_, err := r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
	r.must("start", err)
}

// begin makes and starts a container of the shared pod.
func (r *run) begin(c *api.ContainerConfig) string {
	id := r.create(r.sharedID, r.shared, c)
	r.start(id)
	return id
}

func (r *run) status(id string) *api.ContainerStatus {
	st, err := r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: id})
	r.must("status", err)
	return st.Status
}

func (r *run) podStatus(id string) *api.PodSandboxStatus {
	st, err := r.PodSandboxStatus(r.ctx, &api.PodSandboxStatusRequest{PodSandboxId: id})
	r.must("pod status", err)
	return st.Status
}

// until asks until something holds; a case that waits in vain says so.
func (r *run) until(what string, ok func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) || r.ctx.Err() != nil {
			r.say("never: %s", what)
			panic(over{})
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (r *run) ended(id string) (st *api.ContainerStatus) {
	r.until("the container ends", func() bool {
		st = r.status(id)
		return st.State == api.ContainerState_CONTAINER_EXITED
	})
	return st
}

// log is what a container has said, without times and tags.
func (r *run) log(id string) string {
	data, err := os.ReadFile(r.status(id).LogPath)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if f := strings.SplitN(line, " ", 4); len(f) == 4 {
			if f[2] == "P" {
				f[3] = strings.TrimSuffix(f[3], "\n")
			}
			b.WriteString(f[3])
		}
	}
	return b.String()
}

// sh runs a script to its end in a container of the shared pod and writes what it said.
func (r *run) sh(script string, edit func(*api.ContainerConfig)) {
	r.shIn(r.sharedID, r.shared, script, edit)
}

func (r *run) shIn(pod string, pc *api.PodSandboxConfig, script string, edit func(*api.ContainerConfig)) {
	c := r.shell(script)
	if edit != nil {
		edit(c)
	}
	id, err := r.tryCreate(pod, pc, c)
	if err != nil {
		r.refused("create", err)
		return
	}
	if _, err := r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id}); err != nil {
		r.refused("start", err)
		return
	}
	st := r.ended(id)
	var log string
	want := st.ExitCode == 0
	r.until("the log is there", func() bool { log = r.log(id); return log != "" || !want })
	r.say("%s", log)
	if st.ExitCode != 0 {
		r.say("exit %d %s", st.ExitCode, st.Reason)
	}
}

// exec runs a command in a container and returns what it said.
func (r *run) exec(id string, cmd ...string) string {
	x, err := r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: cmd, Timeout: 20})
	r.must("exec", err)
	text := string(x.Stdout) + string(x.Stderr)
	if x.ExitCode != 0 {
		text += fmt.Sprintf("exit %d\n", x.ExitCode)
	}
	return text
}

// tidy removes what the case made.
func (r *run) tidy() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, id := range r.made {
		_, err := r.RemoveContainer(ctx, &api.RemoveContainerRequest{ContainerId: id})
		errs = append(errs, err)
	}
	for _, id := range r.pods {
		errs = append(errs, r.removePod(id))
	}
	for _, v := range r.volumes {
		if err := unix.Unmount(v, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
