package shim_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// looksAtRoot prints what there is of mounts and devices, and what their makers left.
const looksAtRoot = `
cat /proc/self/mountinfo
find /dev /etc /own /sys/fs/cgroup -maxdepth 2 \( -path /dev/pts/ptmx -o ! -path '/dev/pts/*' \) ! -path '/sys/fs/cgroup/*/*' -exec stat -c '%n %F %a %u:%g %t,%T %N' {} + 2>/dev/null | sort
cat /proc/1/comm; hostname
for f in /etc/a/b/file /root/x /dev/null /dev/full /proc/kcore /proc/sys/kernel/domainname /sys/x /ro/x; do (echo 1 > $f) 2>&1 | sed 's/.*: //' ; done
ls /proc/scsi /data 2>&1`

// TestBuiltEqualsLibcontainer compares what the first processes of containers find that are made the short way and by
// libcontainer.
func TestBuiltEqualsLibcontainer(t *testing.T) {
	n := newNode(t)
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "sub"), 0o750); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(n.rootfs, "link")); err != nil {
		t.Fatal(err)
	}
	add := func(s *specs.Spec, dest, source, kind string, options ...string) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Source: source, Type: kind, Options: options})
	}
	ids := func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7, 12}}
	}
	for _, c := range []struct {
		name string
		edit func(*specs.Spec)
	}{
		{name: "as it comes"},
		{"user", ids},
		{"user without new privileges", func(s *specs.Spec) { ids(s); s.Process.NoNewPrivileges = true }},
		{"read-only root", func(s *specs.Spec) { s.Root.Readonly = true }},
		{"kernel's file systems", func(s *specs.Spec) {
			add(s, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
			add(s, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
		}},
		{"writable cgroups", func(s *specs.Spec) {
			add(s, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "rw")
		}},
		{"binds", func(s *specs.Spec) {
			add(s, "/data", data, "bind", "rbind", "rprivate", "rw")
			add(s, "/ro", data, "bind", "rbind", "rprivate", "ro")
			add(s, "/rro", data, "bind", "rbind", "rprivate", "rro")
			add(s, "/plain", data, "bind", "bind")
			add(s, "/strict/deep/down", data, "bind", "rbind", "rslave", "ro", "nosuid", "nodev", "noexec", "noatime")
			add(s, "/root/x", file, "bind", "bind", "ro")
			add(s, "/link/a/b/file", file, "bind", "bind", "rw")
			add(s, "/dev/here", file, "bind", "bind", "rw")
		}},
		{"tmpfs", func(s *specs.Spec) {
			add(s, "/tmp", "tmpfs", "tmpfs", "nosuid", "nodev", "size=1m")
			add(s, "/own", "own", "tmpfs", "ro", "noexec", "mode=1777", "size=64k")
		}},
		{"proc as it is", func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }},
		{"masked directories", func(s *specs.Spec) {
			s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/scsi", "/sys/firmware", "/nosuch", "/proc/acpi", "/etc/none/x")
			s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/nosuch", "/etc")
		}},
		{"devices", func(s *specs.Spec) {
			mode, id := os.FileMode(0o640), uint32(5)
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/own/thing", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: &id, GID: &id},
				{Path: "/dev/loop7", Type: "b", Major: 7, Minor: 7, FileMode: &mode}}
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "rwm"})
		}},
		{"propagation from the host", func(s *specs.Spec) {
			s.Linux.RootfsPropagation = "rslave"
			add(s, "/data", data, "bind", "rbind", "rslave")
		}},
		{"propagation to the host", func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" }},
		{"limits", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 99}}
			limit, tasks, shares, quota, period, high := int64(64<<20), int64(50), uint64(300), int64(20000), uint64(50000), 700
			s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
			s.Linux.Resources.CPU = &specs.LinuxCPU{Shares: &shares, Quota: &quota, Period: &period, Cpus: "0"}
			s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &tasks}
			s.Process.OOMScoreAdj = &high
			add(s, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
		}},
		{"a directory that is not there", func(s *specs.Spec) { s.Process.Cwd = "/own/made/new" }},
		{"the host's processes and network", func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[1:3]
			s.Linux.MaskedPaths = nil
		}},
		{"everything", func(s *specs.Spec) {
			s.Linux.Seccomp, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
			own := []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_CHOWN", "CAP_DAC_OVERRIDE"}
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own}
			s.Mounts[3].Options = []string{"nosuid", "noexec", "nodev", "rw"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found [2]string
			for i, more := range []func(*specs.Spec){func(*specs.Spec) {}, byLibcontainer} {
				edit := func(s *specs.Spec) {
					if c.edit != nil {
						c.edit(s)
					}
					more(s)
				}
				script := looksAround + "; cat /sys/fs/cgroup/*/memory.limit_in_bytes /sys/fs/cgroup/*/cpu.shares /sys/fs/cgroup/*/cpu.cfs_* /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/*/cpuset.cpus /sys/fs/cgroup/devices/devices.list 2>/dev/null;" + looksAtRoot
				r := n.request(edit, sh(script)...)
				if _, err := n.Create(ctxFor(t), r); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(n.cfg.RunDir, "lc", r.ID, "state.json")); (err == nil) != (i == 1) {
					t.Errorf("made by the other way: %v", err)
				}
				if err := n.Start(ctxFor(t), r.ID); err != nil {
					t.Fatal(err)
				}
				n.wait(r.ID)
				found[i] = comparable(logText(t, r.LogPath), r)
				if err := n.Delete(ctxFor(t), r.ID); err != nil {
					t.Fatal(err)
				}
			}
			if found[0] != found[1] {
				t.Errorf("built:\n%s\nby libcontainer:\n%s", found[0], found[1])
			}
		})
	}
}

var (
	mountIDs = regexp.MustCompile(`(?m)^\d+ \d+ \d+:\d+ `)
	peers    = regexp.MustCompile(`(shared|master|propagate_from):\d+`)
	// ofTheShim are the cgroups of version 1 in hierarchies that nothing is limited in, where libcontainer makes one more.
	ofTheShim = regexp.MustCompile(`(?m)^((?:\d+:(?:name=systemd|blkio|freezer|):)?/minato-shimtest-\d+/\w+)-shim`)
	// lent are the cgroups that a container has of its own only where it has a limit, where libcontainer makes one.
	lent = regexp.MustCompile(`(?m)^(\d+:(?:cpuset|pids):)?/minato-shimtest-[\w/]+( /sys/fs/cgroup/(?:cpuset|pids) )?`)
	// shared is what containers see of one place where libcontainer makes each a file system.
	shared = regexp.MustCompile(`(?m)^(?:\S*/room/(?:cgroup|empty) (\S+) ro,nosuid,nodev,noexec,relatime - .*|` +
		`/ (\S+) (?:rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755|ro,relatime - tmpfs tmpfs ro,size=4k,nr_inodes=1))$`)
)

// comparable leaves out of what a container says all that is different in each.
func comparable(text string, r shim.CreateRequest) string {
	text = strings.ReplaceAll(text, r.ID, "ID")
	text = mountIDs.ReplaceAllString(text, "")
	text = lent.ReplaceAllStringFunc(text, func(line string) string {
		if at := lent.FindStringSubmatch(line); at[1]+at[2] != "" {
			return at[1] + at[2]
		}
		return line
	})
	text = shared.ReplaceAllString(text, "empty $1$2")
	text = ofTheShim.ReplaceAllString(text, "$1/ID")
	return peers.ReplaceAllString(text, "$1")
}

// TestBuildingStaysInTheRoot: links of an image lead nowhere but into the image, whatever is mounted over them.
func TestBuildingStaysInTheRoot(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	outside := t.TempDir()
	for name, to := range map[string]string{"out": outside, "up": "../../../../../../../.." + outside, "top": "/", "toproc": "/proc/self", "procs": "proc"} {
		if err := os.Symlink(to, filepath.Join(n.rootfs, name)); err != nil {
			t.Fatal(err)
		}
	}
	source := t.TempDir()
	try := func(dest string, edit func(*specs.Spec)) (string, error) {
		r := n.request(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Source: source, Type: "bind", Options: []string{"rbind", "rw"}})
			if edit != nil {
				edit(s)
			}
		}, sh("true")...)
		defer n.Delete(ctx, r.ID)
		_, err := n.Create(ctx, r)
		if err != nil {
			return "", err
		}
		return "", n.Start(ctx, r.ID)
	}
	for _, dest := range []string{"/out/made", "/up/made", "/out/deep/made", "/../../made"} {
		if _, err := try(dest, nil); err != nil {
			t.Errorf("%s: %v", dest, err)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("made outside: %v, %v", left, err)
	}
	for _, dest := range []string{"/top", "/", "/toproc/root", "/procs/self", "/proc/sys"} {
		if _, err := try(dest, nil); err == nil {
			t.Errorf("a mount at %s was made", dest)
		}
	}
	if _, err := try("/x", func(s *specs.Spec) { s.Mounts[0].Destination = "/out" }); err == nil {
		t.Error("proc was mounted over a link")
	}
	if _, err := try("/x", func(s *specs.Spec) { s.Process.Args = []string{"nosuch"} }); err == nil || !strings.Contains(err.Error(), "executable file not found in $PATH") {
		t.Errorf("no program: %v", err)
	}
}
