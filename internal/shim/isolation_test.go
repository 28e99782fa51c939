package shim_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// TestInside runs scripts in default containers and compares what they print.
func TestInside(t *testing.T) {
	n := newNode(t)
	uid := func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7}} }
	for _, c := range []struct {
		name   string
		edit   func(*specs.Spec)
		script string
		want   string
	}{
		{"init is pid 1", nil, "echo $$", "1\n"},
		{"capabilities", nil, "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status", "CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n"},
		{"no capabilities", func(s *specs.Spec) { s.Process.Capabilities = nil }, "grep -E 'Cap(Eff|Bnd)' /proc/self/status", "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"},
		{"seccomp filter", nil, "grep Seccomp: /proc/self/status", "Seccomp:\t2\n"},
		{"seccomp refuses mount", nil, "mount -t tmpfs x /tmp 2>/dev/null && echo mounted || echo refused", "refused\n"},
		{"seccomp refuses unshare", nil, "unshare -U true 2>/dev/null && echo made || echo refused", "refused\n"},
		{"no_new_privs off", nil, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0\n"},
		{"no_new_privs on", func(s *specs.Spec) { s.Process.NoNewPrivileges = true }, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"},
		{"masked path", nil, "wc -c < /proc/keys", "0\n"},
		{"read-only path", nil, "(echo 1 > /proc/sys/kernel/domainname) 2>/dev/null && echo wrote || echo refused", "refused\n"},
		{"writable root", nil, "touch /tmp/f && echo ok; rm /tmp/f", "ok\n"},
		{"read-only root", func(s *specs.Spec) { s.Root.Readonly = true }, "touch /tmp/f 2>/dev/null && echo wrote || echo refused", "refused\n"},
		{"user and groups", uid, "id -u; id -g; id -G", "1000\n1001\n1001 7\n"},
		{"user writes /dev/stdout", uid, "echo hello > /dev/stdout", "hello\n"},
		{"environment", func(s *specs.Spec) { s.Process.Env = []string{"A=b c", "PATH=/bin"} }, "echo \"$A\"", "b c\n"},
		{"working directory", func(s *specs.Spec) { s.Process.Cwd = "/tmp" }, "pwd", "/tmp\n"},
		{"hostname", func(s *specs.Spec) { s.Hostname = "haven" }, "hostname", "haven\n"},
		{"own network", nil, "ls /sys/class/net | grep -vc '^lo$'", "0\n"},
		{"rlimit", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 99}}
		}, "ulimit -n; ulimit -Hn", "77\n99\n"},
		{"open files", nil, "ls /proc/self/fd | wc -l", "4\n"}, // 0 1 2 and ls's own directory
		{"output is a pipe", nil, "readlink /proc/self/fd/1 | cut -d: -f1", "pipe\n"},
		{"raised oom score", func(s *specs.Spec) { n := 900; s.Process.OOMScoreAdj = &n }, "cat /proc/self/oom_score_adj", "900\n"},
		{"devices", nil, "mknod /tmp/d b 7 0 && (cat /tmp/d > /dev/null 2>&1 && echo read || echo refused); rm /tmp/d", "refused\n"},
		{"dev null", nil, "echo x > /dev/null && echo ok", "ok\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, got := n.run(c.edit, sh(c.script)...)
			if got != c.want {
				t.Errorf("%s printed %q, want %q (%+v)", c.script, got, c.want, st)
			}
		})
	}
}

func TestLoweredOOMScoreIsNoError(t *testing.T) {
	n := newNode(t)
	low := -900
	st, got := n.run(func(s *specs.Spec) { s.Process.OOMScoreAdj = &low }, "cat", "/proc/self/oom_score_adj")
	if st.ExitCode != 0 || strings.TrimSpace(got) == "" {
		t.Fatalf("%+v %q", st, got)
	}
}

func TestOOMKilled(t *testing.T) {
	n := newNode(t)
	limit := int64(16 << 20)
	st, _ := n.run(func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit} },
		sh("exec tail /dev/zero")...)
	if !st.OOMKilled || st.ExitCode != 137 {
		t.Fatalf("%+v", st)
	}
	_, seq, err := n.List(ctxFor(t))
	if err != nil {
		t.Fatal(err)
	}
	oom := false
	_ = n.Events(ctxFor(t), seq-4, func(e shim.Event) error {
		oom = oom || e.Kind == shim.EventOOM
		if e.Kind == shim.EventSync {
			return os.ErrClosed
		}
		return nil
	})
	if !oom {
		t.Error("no oom event")
	}
}

func TestPidsLimit(t *testing.T) {
	n := newNode(t)
	limit := int64(5)
	_, got := n.run(func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &limit} },
		sh("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done 2>&1; kill $(jobs -p) 2>/dev/null; true")...)
	if !strings.Contains(got, "fork") {
		t.Fatalf("eight children under a limit of five: %q", got)
	}
}

func TestCPUThrottled(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	quota, period := int64(5000), uint64(100000)
	r := n.start(func(s *specs.Spec) { s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period} },
		sh("while :; do :; done")...)
	stat := filepath.Join("/sys/fs/cgroup/cpu", n.cgroup, r.ID, "cpu.stat")
	eventually(t, "throttling", func() bool {
		b, err := os.ReadFile(stat)
		return err == nil && !strings.Contains(string(b), "nr_throttled 0\n")
	})
	wide := int64(70000)
	if err := n.UpdateResources(ctx, r.ID, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &wide}}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.cfs_quota_us": "70000", "cpu.cfs_period_us": "100000"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(stat), file))
		if err != nil || strings.TrimSpace(string(b)) != want {
			t.Errorf("%s after the update: %q, %v", file, b, err)
		}
	}
	memory := int64(64 << 20)
	if err := n.UpdateResources(ctx, r.ID, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile("/sys/fs/cgroup/cpu" + n.cgroup + "/" + r.ID + "/cpu.cfs_quota_us"); strings.TrimSpace(string(b)) != "70000" {
		t.Errorf("the second update undid the first: %q", b)
	}
}

// TestLimitsThatComeLater: a container without limits of processes and processors has no cgroup for them, until it is given
// one; all its processes are there then, later ones too, a new shim knows of it, and nothing of it stays.
func TestLimitsThatComeLater(t *testing.T) {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return // version 2 has one cgroup for all
	}
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, sh("sleep 1000 & sleep 1000 & wait")...)
	own := func(controller string) string { return filepath.Join("/sys/fs/cgroup", controller, n.cgroup, r.ID) }
	for _, controller := range []string{"cpuset", "pids"} {
		if _, err := os.Stat(own(controller)); err == nil {
			t.Errorf("%s has a cgroup that nothing needs", controller)
		}
	}
	limit := int64(50)
	if err := n.UpdateResources(ctx, r.ID, &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}, Pids: &specs.LinuxPids{Limit: &limit}}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpuset/cpuset.cpus": "0", "pids/pids.max": "50", "pids/pids.current": "3"} {
		controller, name := filepath.Split(file)
		eventually(t, file+" is "+want, func() bool { // the shell may not have begun its sleeps
			b, err := os.ReadFile(filepath.Join(own(controller), name))
			return err == nil && strings.TrimSpace(string(b)) == want
		})
	}
	killed := n.info().Pid
	kill9(killed)
	eventually(t, "a new shim", func() bool { return n.info().Pid != killed })
	seen := shim.ExecRequest{Args: sh("grep Cpus_allowed_list /proc/self/status; grep -cE ':(cpuset|pids):.*" + r.ID + "' /proc/self/cgroup")}
	if out, _, _ := n.execOut(r.ID, seen, ""); out != "Cpus_allowed_list:\t0\n2\n" {
		t.Errorf("a later process: %q", out)
	}
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	for _, controller := range []string{"cpuset", "pids", "memory"} {
		if _, err := os.Stat(own(controller)); err == nil {
			t.Errorf("the cgroup of %s stays", controller)
		}
	}
}

// TestSharedPlacesAreReadOnly: what containers share instead of file systems of their own takes nothing from them, and who
// may mount, and so could change that, has its own.
func TestSharedPlacesAreReadOnly(t *testing.T) {
	n := newNode(t)
	script := "for d in /sys/fs/cgroup /hidden; do for how in rw,remount,bind rw,remount; do mount -o $how $d 2>/dev/null; done; touch $d/x 2>/dev/null && echo wrote; done; true"
	edit := func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}})
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/hidden")
	}
	if err := os.Mkdir(filepath.Join(n.rootfs, "hidden"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, got := n.run(edit, sh(script)...); got != "" {
		t.Errorf("without the right to mount: %q", got)
	}
	n.run(func(s *specs.Spec) {
		edit(s)
		own := append(slices.Clone(defaultCaps), "CAP_SYS_ADMIN")
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own}
		s.Linux.Seccomp = nil
	}, sh(script)...)
	for _, dir := range []string{"cgroup", "empty"} {
		if _, err := os.Stat(filepath.Join(n.cfg.RunDir, "room", dir, "x")); err == nil {
			t.Errorf("a container wrote into %s, which others see", dir)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(n.rootfs, "hidden")); err != nil || len(entries) > 0 {
		t.Errorf("what is masked: %v %v", entries, err)
	}
}
