package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestVolumes(t *testing.T) {
	m := newMachine(t)
	host := filepath.Join(m.dir, "host")
	if err := os.MkdirAll(filepath.Join(host, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A mount of our own with a mount below it, both shared, to see what read-only and propagation reach.
	for _, dir := range []string{host, filepath.Join(host, "below")} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(host, filepath.Join(m.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, script, want string
		mount              *api.Mount
		change             func(*api.ContainerConfig)
	}{
		{"writable", "touch /v/x && echo yes", "yes\n", &api.Mount{HostPath: host}, nil},
		{"over a link of the host", "touch /v/y && echo yes", "yes\n", &api.Mount{HostPath: filepath.Join(m.dir, "link")}, nil},
		{"made where missing", "touch /v/x && echo yes", "yes\n", &api.Mount{HostPath: filepath.Join(m.dir, "missing", "dir")}, nil},
		{"read-only, not what is below", "touch /v/z 2>/dev/null || echo no; touch /v/below/z && echo below", "no\nbelow\n", &api.Mount{HostPath: host, Readonly: true}, nil},
		{"read-only all the way down", "touch /v/z 2>/dev/null || echo no; touch /v/below/z 2>/dev/null || echo no", "no\nno\n",
			&api.Mount{HostPath: host, Readonly: true, RecursiveReadOnly: true}, nil},
		{"not executable", "echo 'echo ran' >/v/s; chmod 755 /v/s 2>/dev/null; /v/s 2>/dev/null || echo no", "no\n",
			&api.Mount{HostPath: host, MountOptions: []string{"noexec"}}, nil},
		{"an image", "cat /v/data/part; touch /v/x 2>/dev/null || echo no", "a part of an image\nno\n", &api.Mount{Image: &api.ImageSpec{Image: testImage}}, nil},
		{"a part of an image", "cat /v/part", "a part of an image\n", &api.Mount{Image: &api.ImageSpec{Image: testImage}, ImageSubPath: "data"}, nil},
		{"mounts go out to the host", "mkdir -p /v/m && mount -t tmpfs x /v/m && touch /v/m/inside && echo done", "done\n",
			&api.Mount{HostPath: host, Propagation: api.MountPropagation_PROPAGATION_BIDIRECTIONAL},
			func(c *api.ContainerConfig) { c.Linux.SecurityContext.Privileged = true }},
	} {
		cfg := shell("c", c.script)
		c.mount.ContainerPath = "/v"
		cfg.Mounts = []*api.Mount{c.mount}
		if c.change != nil {
			c.change(cfg)
		}
		if out, st := m.once(m.pod(), cfg); out != c.want {
			t.Errorf("%s: got %q (exit %d %s), want %q", c.name, out, st.ExitCode, st.Message, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(host, "m", "inside")); err != nil {
		t.Errorf("the container's mount did not reach the host: %v", err)
	}
	unix.Unmount(filepath.Join(host, "m"), unix.MNT_DETACH)
	pc := m.pod()
	pod := m.run(pc)
	bad := shell("bad", "true")
	bad.Mounts = []*api.Mount{{ContainerPath: "/v", Image: &api.ImageSpec{Image: testImage}, ImageSubPath: "../../nowhere"}}
	if _, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: bad, SandboxConfig: pc}); err == nil || !strings.Contains(err.Error(), "ImageVolumeMountFailed") {
		t.Errorf("a part that is not there: %v", err)
	}
}

func TestNamespaceModes(t *testing.T) {
	m := newMachine(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	hostNet := m.pod()
	hostNet.Hostname = ""
	hostNet.Linux.SecurityContext.NamespaceOptions.Network = api.NamespaceMode_NODE
	if out, st := m.once(hostNet, shell("c", "hostname; ip link | grep -c mrt")); !strings.HasPrefix(out, host+"\n") || strings.HasSuffix(out, "\n0\n") {
		t.Errorf("host network: %q %v", out, st)
	}
	hostIPC := m.pod()
	hostIPC.Linux.SecurityContext.NamespaceOptions.Ipc = api.NamespaceMode_NODE
	mine, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := m.once(hostIPC, shell("c", "readlink /proc/self/ns/ipc")); out != mine+"\n" {
		t.Errorf("host ipc: %q, not %q", out, mine)
	}
	hostPID := m.pod()
	hostPID.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_NODE
	c := shell("c", "readlink /proc/self/ns/pid")
	c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_NODE
	mine, err = os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := m.once(hostPID, c); out != mine+"\n" {
		t.Errorf("host pid: %q, not %q", out, mine)
	}
	sysctl := m.pod()
	sysctl.Linux.Sysctls = map[string]string{"net.core.somaxconn": "77", "kernel.shm_rmid_forced": "1", "net.ipv4.conf.eth0.rp_filter": "2"}
	want := "77\n1\n2\n0\n"
	if out, _ := m.once(sysctl, shell("c", "cd /proc/sys; cat net/core/somaxconn kernel/shm_rmid_forced net/ipv4/conf/eth0/rp_filter net/ipv4/ip_unprivileged_port_start")); out != want {
		t.Errorf("sysctls: %q", out)
	}
}

func TestProcessesAreSharedOnRequest(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pc.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	pod := m.run(pc)
	a, b := shell("a", "exec sleep 4242"), shell("b", "exec sleep 1000")
	a.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	b.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	ida, idb := m.create(pod, pc, a), m.create(pod, pc, b)
	m.begin(ida)
	m.begin(idb)
	eventually(t, "b sees a and the init", func() bool {
		out, _ := m.exec(idb, "ps")
		return strings.Contains(out, "sleep 4242") && strings.Contains(out, "/pause")
	})
	m.restart()
	if out, _ := m.exec(idb, "ps"); !strings.Contains(out, "sleep 4242") {
		t.Errorf("after a restart b sees %s", out)
	}
	// A debug container joins the namespace of one container.
	alone := m.pod()
	pod2 := m.run(alone)
	target := m.create(pod2, alone, shell("target", "exec sleep 4343"))
	m.begin(target)
	d := shell("debug", "exec sleep 1000")
	d.Linux.SecurityContext.NamespaceOptions = &api.NamespaceOption{Pid: api.NamespaceMode_TARGET, TargetId: target}
	debug := m.create(pod2, alone, d)
	m.begin(debug)
	eventually(t, "the debug container sees its target", func() bool {
		out, _ := m.exec(debug, "ps")
		return strings.Contains(out, "sleep 4343")
	})
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: ida}); err != nil {
		t.Fatal(err)
	}
	if st := m.status(idb); st.State != api.ContainerState_CONTAINER_RUNNING {
		t.Errorf("b ended with a: %v", st)
	}
}

func TestStopIsGentleFirst(t *testing.T) {
	m := newMachine(t)
	_, gentle := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "trap 'exit 5' TERM; touch /ready; while true; do sleep 0.02; done"}
	})
	_, quit := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "trap 'exit 6' QUIT; touch /ready; while true; do sleep 0.02; done"}
		c.StopSignal = api.Signal_SIGNAL_SIGQUIT
	})
	_, deaf := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "trap '' TERM; touch /ready; while true; do sleep 0.02; done"}
	})
	for id, c := range map[string]struct {
		want    int32
		timeout int64 // those that obey have all the time that they need
	}{gentle: {5, 60}, quit: {6, 60}, deaf: {137, 1}} {
		eventually(t, "the trap is set", func() bool { _, code := m.exec(id, "test", "-e", "/ready"); return code == 0 })
		if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: id, Timeout: c.timeout}); err != nil {
			t.Fatal(err)
		}
		if st := m.status(id); st.ExitCode != c.want {
			t.Errorf("exit %d, want %d", st.ExitCode, c.want)
		}
	}
	if st := m.status(quit); st.StopSignal != api.Signal_SIGNAL_SIGQUIT {
		t.Errorf("stop signal %v", st.StopSignal)
	}
}

func TestStatsAndLimits(t *testing.T) {
	m := newMachine(t)
	pod, id := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; while true; do :; done"}
		c.Linux.Resources = &api.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 20000, MemoryLimitInBytes: 64 << 20}
	})
	var st *api.ContainerStats
	eventually(t, "CPU is counted", func() bool {
		r, err := m.ContainerStats(m.ctx(), &api.ContainerStatsRequest{ContainerId: id})
		if err != nil {
			t.Fatal(err)
		}
		st = r.Stats
		return st.GetCpu().GetUsageNanoCores() != nil && st.Cpu.UsageNanoCores.Value > 0
	})
	if v := st.Cpu.UsageNanoCores.Value; v > 400e6 {
		t.Errorf("a fifth of a core is %d", v)
	}
	if st.Memory.WorkingSetBytes.GetValue() == 0 || st.Memory.AvailableBytes.GetValue() == 0 {
		t.Errorf("memory %v", st.Memory)
	}
	if _, err := m.UpdateContainerResources(m.ctx(), &api.UpdateContainerResourcesRequest{ContainerId: id, Linux: &api.LinuxContainerResources{CpuQuota: 50000, MemoryLimitInBytes: 96 << 20}}); err != nil {
		t.Fatal(err)
	}
	if r := m.status(id).Resources.GetLinux(); r.CpuQuota != 50000 || r.CpuPeriod != 100000 || r.MemoryLimitInBytes != 96<<20 {
		t.Errorf("updated: %v", r)
	}
	u, err := m.server.cgroups.Usage(m.server.cgroupOf(m.server.sandboxes.Get(pod), id), time.Now())
	if err != nil || u.Limit != 96<<20 {
		t.Errorf("limit in the kernel: %d %v", u.Limit, err)
	}
	p, err := m.PodSandboxStats(m.ctx(), &api.PodSandboxStatsRequest{PodSandboxId: pod})
	if err != nil {
		t.Fatal(err)
	}
	if l := p.Stats.Linux; l.GetCpu() == nil || l.GetNetwork().GetDefaultInterface().GetName() != "eth0" || l.GetProcess().GetProcessCount().GetValue() == 0 || len(l.GetContainers()) != 1 {
		t.Errorf("pod: %v", p.Stats.Linux)
	}
	all, err := m.ListPodSandboxMetrics(m.ctx(), &api.ListPodSandboxMetricsRequest{})
	if err != nil || len(all.PodMetrics) != 1 || len(all.PodMetrics[0].ContainerMetrics) != 1 {
		t.Errorf("metrics: %v %v", all, err)
	}
	fs, err := m.ImageFsInfo(m.ctx(), &api.ImageFsInfoRequest{})
	if err != nil || fs.ImageFilesystems[0].UsedBytes.GetValue() == 0 {
		t.Errorf("file systems: %v %v", fs, err)
	}
}

func TestEventsAndLogs(t *testing.T) {
	m := newMachine(t)
	st, err := m.GetContainerEvents(t.Context(), &api.GetEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is open", m.server.events.anyone)
	pc := m.pod()
	pod := m.run(pc)
	id := m.create(pod, pc, shell("c", "echo before; until test -e /dev/shm/go; do sleep 0.01; done; echo after"))
	m.begin(id)
	eventually(t, "log", func() bool { return m.output(id) == "before\n" })
	log := m.status(id).LogPath
	if err := os.Rename(log, log+".old"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReopenContainerLog(m.ctx(), &api.ReopenContainerLogRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
	m.exec(id, "touch", "/dev/shm/go")
	if m.ended(id); m.output(id) != "after\n" {
		t.Errorf("log after rotation: %q", m.output(id))
	}
	m.remove(pod)
	var got []string
	for len(got) < 8 {
		e, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		who := "pod"
		if e.ContainerId == id {
			who = "container"
		}
		got = append(got, who+" "+strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(e.ContainerEventType.String(), "CONTAINER_"), "_EVENT")))
		if e.PodSandboxStatus == nil {
			t.Errorf("%v has no sandbox", e)
		}
	}
	want := "pod created, pod started, container created, container started, container stopped, pod stopped, container deleted, pod deleted"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestImagesAndStatus(t *testing.T) {
	m := newMachine(t)
	v, err := m.Version(m.ctx(), &api.VersionRequest{})
	if err != nil || v.RuntimeApiVersion != "v1" || v.RuntimeName != "minato" {
		t.Errorf("%v %v", v, err)
	}
	st, err := m.Status(m.ctx(), &api.StatusRequest{Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range st.Status.Conditions {
		if !c.Status {
			t.Errorf("%v", c)
		}
	}
	if rc, err := m.RuntimeConfig(m.ctx(), &api.RuntimeConfigRequest{}); err != nil || rc.Linux.CgroupDriver != api.CgroupDriver_CGROUPFS {
		t.Errorf("%v %v", rc, err)
	}
	list, err := m.ListImages(m.ctx(), &api.ListImagesRequest{})
	if err != nil || len(list.Images) != 1 || list.Images[0].Size == 0 {
		t.Fatalf("%v %v", list, err)
	}
	if is, err := m.ImageStatus(m.ctx(), &api.ImageStatusRequest{Image: &api.ImageSpec{Image: "none:1"}}); err != nil || is.Image != nil {
		t.Errorf("a missing image: %v %v", is, err)
	}
	m.sleeper(nil)
	if _, err := m.RemoveImage(m.ctx(), &api.RemoveImageRequest{Image: &api.ImageSpec{Image: list.Images[0].Id}}); err == nil {
		t.Error("an image in use was removed")
	}
	if _, err := m.PullImage(m.ctx(), &api.PullImageRequest{Image: &api.ImageSpec{Image: "127.0.0.1:1/none:1"}}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("pull from nobody: %v", err)
	}
	if _, err := m.CheckpointContainer(m.ctx(), &api.CheckpointContainerRequest{}); err == nil || !strings.Contains(err.Error(), "Unimplemented") {
		t.Errorf("checkpoint: %v", err)
	}
	bad := m.pod()
	if _, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: bad, RuntimeHandler: "kata"}); err == nil || !strings.Contains(err.Error(), "kata") {
		t.Errorf("unknown handler: %v", err)
	}
	bad.Linux.Sysctls = map[string]string{"vm.swappiness": "1"}
	if _, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: bad}); err == nil || !strings.Contains(err.Error(), "whole node") {
		t.Errorf("sysctl of the node: %v", err)
	}
}
