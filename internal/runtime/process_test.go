package runtime

import (
	"strings"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestWhatAProcessSees is a table of containers and what their shells find out about themselves.
func TestWhatAProcessSees(t *testing.T) {
	m := newMachine(t)
	sec := func(c *api.ContainerConfig) *api.LinuxContainerSecurityContext { return c.Linux.SecurityContext }
	id := func(v int64) *api.Int64Value { return &api.Int64Value{Value: v} }
	for i, c := range []struct {
		name, script, want string
		change             func(*api.ContainerConfig)
	}{
		{"image environment, then the container's", `env | grep -E '^FROM=' | cut -c1-12; echo $PATH`, "FROM=contain\n/bin\n",
			func(c *api.ContainerConfig) { c.Envs = []*api.KeyValue{{Key: "FROM", Value: []byte("container")}} }},
		{"root with its groups", "id", "uid=0(root) gid=0(root) groups=0(root),2002(roots)\n", nil},
		{"a user by number with its group", "id", "uid=1000(web) gid=1000(web) groups=1000(web),2000(extra),2001(more)\n",
			func(c *api.ContainerConfig) { sec(c).RunAsUser = id(1000) }},
		{"a user by name", "id -u", "1000\n", func(c *api.ContainerConfig) { sec(c).RunAsUsername = "web" }},
		{"a user that the image does not know", "id", "uid=4242 gid=0(root) groups=0(root)\n",
			func(c *api.ContainerConfig) { sec(c).RunAsUser = id(4242) }},
		{"group and supplemental groups, merged", "id", "uid=1000(web) gid=3000 groups=2000(extra),2001(more),3000,4000\n",
			func(c *api.ContainerConfig) {
				sec(c).RunAsUser, sec(c).RunAsGroup, sec(c).SupplementalGroups = id(1000), id(3000), []int64{4000}
			}},
		{"supplemental groups, strict", "id", "uid=1000(web) gid=3000 groups=3000,4000\n",
			func(c *api.ContainerConfig) {
				sec(c).RunAsUser, sec(c).RunAsGroup, sec(c).SupplementalGroups = id(1000), id(3000), []int64{4000}
				sec(c).SupplementalGroupsPolicy = api.SupplementalGroupsPolicy_Strict
			}},
		{"a working directory that is made", "pwd", "/made/for/me\n", func(c *api.ContainerConfig) { c.WorkingDir = "/made/for/me" }},
		{"arguments after the command", "echo $0 $1", "one two\n", func(c *api.ContainerConfig) { c.Args = []string{"one", "two"} }},
		{"default capabilities, no more", "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2", "0000000000000000\n00000000a80425fb\n00000000a80425fb\n00000000a80425fb\n0000000000000000\n", nil},
		{"capabilities dropped and added", "grep CapEff /proc/self/status | cut -f2", "0000000000001000\n",
			func(c *api.ContainerConfig) {
				sec(c).Capabilities = &api.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_ADMIN"}}
			}},
		{"no capabilities for a user", "grep -E 'Cap(Eff|Bnd)' /proc/self/status | cut -f2", "0000000000000000\n00000000a80425fb\n",
			func(c *api.ContainerConfig) { sec(c).RunAsUser = id(1000) }},
		{"an ambient capability for a user", "grep CapEff /proc/self/status | cut -f2", "0000000000000400\n",
			func(c *api.ContainerConfig) {
				sec(c).RunAsUser = id(1000)
				sec(c).Capabilities = &api.Capability{DropCapabilities: []string{"ALL"}, AddAmbientCapabilities: []string{"NET_BIND_SERVICE"}}
			}},
		{"seccomp filters by default", "grep Seccomp: /proc/self/status | cut -f2; mount -t tmpfs x /tmp 2>/dev/null || echo refused", "2\nrefused\n", nil},
		{"seccomp unconfined", "grep Seccomp: /proc/self/status | cut -f2", "0\n",
			func(c *api.ContainerConfig) { sec(c).Seccomp.ProfileType = api.SecurityProfile_Unconfined }},
		{"no new privileges", "grep NoNewPrivs /proc/self/status | cut -f2", "1\n", func(c *api.ContainerConfig) { sec(c).NoNewPrivs = true }},
		{"masked and read-only paths", "wc -c </proc/keys; echo 1 2>/dev/null >/proc/sys/kernel/panic || echo read-only", "0\nread-only\n", nil},
		{"a writable root", "touch /x && echo yes", "yes\n", nil},
		{"a read-only root", "touch /x 2>/dev/null || echo no; touch /dev/shm/x && echo shm", "no\nshm\n",
			func(c *api.ContainerConfig) { sec(c).ReadonlyRootfs = true }},
		{"its own processes only", "echo $$; test -d /proc/2000 || echo alone", "1\nalone\n", nil},
		{"a terminal", "test -t 0 && test -t 1 && echo $TERM", "xterm\r\n", func(c *api.ContainerConfig) { c.Tty = true }},
		{"devices that everyone has", "ls /dev | tr '\\n' ' '", "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n", nil},
		{"memory limit on itself", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max", "67108864\n",
			func(c *api.ContainerConfig) { c.Linux.Resources.MemoryLimitInBytes = 64 << 20 }},
		{"privileged", "grep Seccomp: /proc/self/status | cut -f2; mount -t tmpfs x /tmp && echo mounted", "0\nmounted\n",
			func(c *api.ContainerConfig) { sec(c).Privileged = true }},
		{"out-of-memory score", "cat /proc/self/oom_score_adj", "500\n", func(c *api.ContainerConfig) { c.Linux.Resources.OomScoreAdj = 500 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := shell("c", c.script)
			if c.change != nil {
				c.change(cfg)
			}
			m := &machine{Client: m.Client, t: t, dir: m.dir, cfg: m.cfg, cgroup: m.cgroup, server: m.server}
			m.n.Store(int64(1000 * (i + 1)))
			out, st := m.once(m.pod(), cfg)
			if out != c.want {
				t.Errorf("got  %q (exit %d %s)\nwant %q", out, st.ExitCode, st.Message, c.want)
			}
		})
	}
}

// TestHowContainersEnd is a table of exits and what their status says.
func TestHowContainersEnd(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		script, reason string
		code           int32
		change         func(*api.ContainerConfig)
	}{
		{"exit 0", "Completed", 0, nil},
		{"exit 7", "Error", 7, nil},
		{"kill -9 $$; exit 4", "Error", 4, nil}, // process 1 ignores what it has no handler for
		{"head -c 200m /dev/zero | tail", "OOMKilled", 137, func(c *api.ContainerConfig) {
			c.Command = []string{"dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=60"}
			c.Linux.Resources.MemoryLimitInBytes = 16 << 20
		}},
	} {
		cfg := shell("c", c.script)
		if c.change != nil {
			c.change(cfg)
		}
		_, st := m.once(m.pod(), cfg)
		if st.ExitCode != c.code || st.Reason != c.reason {
			t.Errorf("%q: exit %d %s %s, want %d %s", c.script, st.ExitCode, st.Reason, st.Message, c.code, c.reason)
		}
	}
}

func TestWhatCannotStart(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pod := m.run(pc)
	for name, c := range map[string]struct {
		change func(*api.ContainerConfig)
		create string // words of the error at creation
		start  string // or at the start
	}{
		"no such program": {start: "no-such-program", change: func(c *api.ContainerConfig) { c.Command = []string{"no-such-program"} }},
		"not executable":  {start: "permission denied", change: func(c *api.ContainerConfig) { c.Command = []string{"/etc/passwd"} }},
		"no such image":   {create: "image not found", change: func(c *api.ContainerConfig) { c.Image.Image = "docker.io/library/none:1" }},
		"no such user":    {create: "/etc/passwd", change: func(c *api.ContainerConfig) { c.Linux.SecurityContext.RunAsUsername = "nobody-here" }},
		"a group alone":   {create: "run_as_group", change: func(c *api.ContainerConfig) { c.Linux.SecurityContext.RunAsGroup = &api.Int64Value{Value: 5} }},
		"no such profile": {create: "cannot load seccomp profile", change: func(c *api.ContainerConfig) {
			c.Linux.SecurityContext.Seccomp = &api.SecurityProfile{ProfileType: api.SecurityProfile_Localhost, LocalhostRef: "/no/such.json"}
		}},
		"no AppArmor": {create: "AppArmor", change: func(c *api.ContainerConfig) {
			c.Linux.SecurityContext.Apparmor = &api.SecurityProfile{ProfileType: api.SecurityProfile_Localhost, LocalhostRef: "tight"}
		}},
		"no such capability": {create: "FLY", change: func(c *api.ContainerConfig) {
			c.Linux.SecurityContext.Capabilities = &api.Capability{AddCapabilities: []string{"FLY"}}
		}},
		"shared propagation of a private mount": {create: "not a shared", change: func(c *api.ContainerConfig) {
			c.Mounts = []*api.Mount{{HostPath: m.cfg.RunDir, ContainerPath: "/m", Propagation: api.MountPropagation_PROPAGATION_BIDIRECTIONAL}}
		}},
		"log outside": {create: "leaves the pod's log directory", change: func(c *api.ContainerConfig) { c.LogPath = "../../x.log" }},
	} {
		cfg := shell(strings.ReplaceAll(name, " ", "-"), "true")
		c.change(cfg)
		r, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: cfg, SandboxConfig: pc})
		if c.create != "" {
			if err == nil || !strings.Contains(err.Error(), c.create) {
				t.Errorf("%s: create: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: create: %v", name, err)
			continue
		}
		_, err = m.StartContainer(m.ctx(), &api.StartContainerRequest{ContainerId: r.ContainerId})
		if err == nil || !strings.Contains(err.Error(), c.start) {
			t.Errorf("%s: start: %v", name, err)
		}
		if st := m.status(r.ContainerId); st.State != api.ContainerState_CONTAINER_EXITED || st.ExitCode != 128 || st.Reason != "StartError" {
			t.Errorf("%s: %v", name, st)
		}
	}
	if list, err := m.ListContainers(m.ctx(), &api.ListContainersRequest{}); err != nil || len(list.Containers) != 2 {
		t.Errorf("what could not be created is listed: %v %v", list, err)
	}
}
