package runtime

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/pin"
)

// TestHandlers: pods of other OCI runtimes live as ours do, through a kill of the runtime too.
func TestHandlers(t *testing.T) {
	m := newMachine(t)
	m.stop()
	m.cfg.Handlers = DefaultHandlers
	m.start()
	for _, handler := range []string{"crun", "runc"} {
		t.Run(handler, func(t *testing.T) { m.handlerStory(t, handler) })
	}
	t.Run("crun with users", func(*testing.T) { m.usersStory("crun") })
}

func (m *machine) handlerStory(t *testing.T, handler string) {
	pc := m.pod()
	pc.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	r, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: pc, RuntimeHandler: handler})
	if err != nil {
		t.Fatal(err)
	}
	c := shell("c", "echo begun; cat /etc/hostname; trap 'echo asked; exit 3' TERM; while true; do sleep 1; done")
	c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	c.Linux.Resources.MemoryLimitInBytes, c.Linux.Resources.CpuShares, c.Linux.Resources.OomScoreAdj = 64<<20, 512, 900
	id := m.create(r.PodSandboxId, pc, c)
	m.begin(id)
	eventually(t, "it speaks", func() bool { return m.output(id) == "begun\n"+pc.Hostname+"\n" })
	program, err := m.server.program(handler)
	if err != nil || filepath.Base(program) != handler {
		t.Errorf("program %q, %v", program, err)
	}
	if made, err := filepath.Glob(filepath.Join(m.cfg.Shim.RunDir, "oci", id)); len(made) != 1 || err != nil {
		t.Errorf("%s knows nothing of it: %v", handler, err)
	}
	out, code := m.exec(id, "sh", "-c", "cat /proc/self/oom_score_adj; grep -c Seccomp:.2 /proc/self/status; touch /proc/sys/x 2>&1; exit 5")
	if code != 5 || !strings.HasPrefix(out, "900\n1\n") || !strings.Contains(out, "/proc/sys/x") {
		t.Errorf("exec: %d %q", code, out)
	}
	m.restart()
	if _, err := m.UpdateContainerResources(m.ctx(), &api.UpdateContainerResourcesRequest{ContainerId: id,
		Linux: &api.LinuxContainerResources{MemoryLimitInBytes: 96 << 20}}); err != nil {
		t.Error(err)
	}
	if got := m.status(id).Resources.GetLinux().GetMemoryLimitInBytes(); got != 96<<20 {
		t.Errorf("memory limit %d", got)
	}
	stats, err := m.ContainerStats(m.ctx(), &api.ContainerStatsRequest{ContainerId: id})
	if err != nil || stats.Stats.GetMemory().GetWorkingSetBytes().GetValue() == 0 || stats.Stats.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 {
		t.Errorf("stats %v, %v", stats, err)
	}
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: id, Timeout: 60}); err != nil {
		t.Fatal(err)
	}
	if st := m.status(id); st.ExitCode != 3 || !strings.HasSuffix(m.output(id), "asked\n") {
		t.Errorf("%v, log %q", st, m.output(id))
	}
	missing := m.create(r.PodSandboxId, pc, &api.ContainerConfig{Metadata: &api.ContainerMetadata{Name: "missing"}, Image: c.Image, Command: []string{"nosuch"}})
	if _, err := m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: missing}); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("a program that is not there: %v", err)
	}
	if st := m.status(missing); st.Reason != "StartError" || st.ExitCode != 128 {
		t.Errorf("%v", st)
	}
	if st, err := m.PodSandboxStatus(m.ctx(), &api.PodSandboxStatusRequest{PodSandboxId: r.PodSandboxId}); err != nil || st.Status.RuntimeHandler != handler {
		t.Errorf("%v, %v", st, err)
	}
	m.remove(r.PodSandboxId)
	nothingLeft(t, m, "a pod of "+handler)
	if left, _ := os.ReadDir(filepath.Join(m.cfg.Shim.RunDir, "oci")); len(left) > 0 {
		t.Errorf("left of %s: %v", handler, left)
	}
}

// TestHandlersAreLearnt: Status does not wait for programs that it has not asked yet, and tells when they have answered; what they
// said is known at the next start.
func TestHandlersAreLearnt(t *testing.T) {
	m := newMachine(t)
	m.stop()
	program := filepath.Join(t.TempDir(), "able")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '{\"mountOptions\": [\"rro\"]}'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 10)
	m.cfg.Handlers = map[string]string{"able": program}
	m.cfg.Changed = func() { changed <- struct{}{} }
	m.start()
	offered := func() bool {
		st, err := m.Status(m.ctx(), &api.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(st.RuntimeHandlers, func(h *api.RuntimeHandler) bool {
			return h.Name == "able" && h.Features.RecursiveReadOnlyMounts
		})
	}
	if offered() {
		t.Error("it was asked on the way")
	}
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("it was never asked")
	}
	if !offered() {
		t.Error("it is not offered though it has answered")
	}
	m.restart()
	if !offered() {
		t.Error("what it said is forgotten")
	}
}

// TestHandlerNames: what is offered is what is installed now, and what is not is told how to be mended.
func TestHandlerNames(t *testing.T) {
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	program := "#!/bin/sh\necho $@ >>" + asked + "\necho '{\"mountOptions\": [\"ro\", \"rro\"]}'\n"
	s := &Server{abilities: openAbilities(dir, slog.New(slog.DiscardHandler)), cfg: Config{Handlers: map[string]string{"able": filepath.Join(dir, "able"), "later": filepath.Join(dir, "later"), "runc": filepath.Join(dir, "runc")}}}
	for _, c := range []struct{ handler, words string }{
		{"later", "install it (on Debian: apt-get install later)"}, {"unknown", `no runtime for "unknown" is configured: this node has`}} {
		if _, err := s.program(c.handler); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.handler, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "able"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.handlers(), " "); got != " minato runc able" {
		t.Errorf("handlers %q", got)
	}
	if f := s.features("able"); f != nil {
		t.Errorf("known unasked: %v", f)
	}
	for range 2 { // it is asked once in its life
		s.abilities = openAbilities(dir, slog.New(slog.DiscardHandler))
		for range 2 {
			if f := s.ask(t.Context(), "able"); !f.RecursiveReadOnlyMounts || f.UserNamespaces || !proto.Equal(f, s.features("able")) {
				t.Errorf("features %v", f)
			}
		}
	}
	if text, err := os.ReadFile(asked); string(text) != "features\n" {
		t.Errorf("asked %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "able"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if f := s.features("able"); f != nil {
		t.Errorf("another file is not asked: %v", f)
	}
	if f := s.ask(t.Context(), "able"); f.RecursiveReadOnlyMounts {
		t.Errorf("a program that does not know the question: %v", f)
	}
	users := &api.PodSandboxConfig{Linux: &api.LinuxPodSandboxConfig{SecurityContext: &api.LinuxSandboxSecurityContext{
		NamespaceOptions: &api.NamespaceOption{UsernsOptions: &api.UserNamespace{Mode: api.NamespaceMode_POD}}}}}
	if err := s.checkHandler(t.Context(), &api.RunPodSandboxRequest{Config: users, RuntimeHandler: "able"}); err == nil || !strings.Contains(err.Error(), "user namespaces") {
		t.Errorf("a user namespace: %v", err)
	}
	if path, err := s.program("runc"); path != "" || err != nil {
		t.Errorf("runc that is not installed is our own: %q, %v", path, err)
	}
}

// TestShifts: who can make user namespaces is believed by its word, or by its name where it is older than the question.
func TestShifts(t *testing.T) {
	if !pin.CanShift() {
		t.Fatal("this kernel has no user namespaces for pods: Linux 6.3 or newer is needed")
	}
	for program, want := range map[string]bool{
		`echo '{"linux": {"mountExtensions": {"idmap": {"enabled": true}}}}'`:              true,
		`echo '{"linux": {"mountExtensions": {"idmap": {"enabled": false}}}}'`:             false,
		`test $1 = --version || exit 1; echo crun version 1.8.1`:                           true,
		`test $1 = --version || exit 1; echo crun version 1.7`:                             false,
		`test $1 = --version || exit 1; echo runc version 1.1.5+ds1`:                       false,
		`test $1 = features && echo '{"mountOptions": ["rro"]}' || echo crun version 1.99`: false,
	} {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+program+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		a := openAbilities(t.TempDir(), slog.New(slog.DiscardHandler))
		if got := a.of(t.Context(), path).features().UserNamespaces; got != want {
			t.Errorf("%s: %t", program, got)
		}
	}
}

func TestCheckHandlers(t *testing.T) {
	got, err := CheckHandlers(" crun=/opt/crun, youki=/usr/bin/youki,")
	if err != nil || len(got) != 3 || got["crun"] != "/opt/crun" || got["youki"] != "/usr/bin/youki" || got["runc"] != "runc" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"crun", "=/x", "x=relative", "minato=/x"} {
		if _, err := CheckHandlers(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
