package pin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// room opens a room and leaves nothing of it.
func room(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "room")
	if err := Room(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := CloseRoom(dir); err != nil {
			t.Error(err)
		}
		if left, err := mountPoints(dir); err != nil || len(left) > 0 {
			t.Errorf("mounts left: %v %v", left, err)
		}
	})
	return dir
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestNamespacesArePinnedOnce(t *testing.T) {
	dir := filepath.Join(room(t), "p", "ns")
	n := Namespaces{Net: true, IPC: true, UTS: true, Hostname: "web-0", Sysctls: map[string]string{
		"net.ipv4.ip_local_port_range": "40000\t50000", "kernel.shm_rmid_forced": "1", "net.ipv4.conf.lo.rp_filter": "2"}}
	hostRange, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	hostNet := inode(t, "/proc/self/ns/net")
	if err := n.CheckSysctls(); err != nil {
		t.Fatal(err)
	}
	if err := n.Make(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for range 50 { // the process's first thread must never be the one that is lost
		if err := onLostThread(t.Context(), func() error { return unix.Unshare(unix.CLONE_NEWUTS) }); err != nil {
			t.Fatal(err)
		}
	}
	first := inode(t, filepath.Join(dir, "net"))
	if err := n.Make(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if again := inode(t, filepath.Join(dir, "net")); again != first {
		t.Error("a second Make replaced the namespace")
	}
	if inode(t, "/proc/self/ns/net") != hostNet || hostNet == first {
		t.Error("the pin is the host's network")
	}
	err = InNetwork(t.Context(), filepath.Join(dir, "net"), func() error {
		got, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
		if strings.TrimSpace(string(got)) != "40000\t50000" {
			t.Errorf("sysctl inside: %q", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); string(now) != string(hostRange) {
		t.Errorf("the host's sysctl changed: %q", now)
	}
	// Half made: one pin is lost, all are made anew.
	if err := Unmount(filepath.Join(dir, "uts")); err != nil {
		t.Fatal(err)
	}
	if err := n.Make(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, k := range n.kinds() {
		if !Pinned(filepath.Join(dir, k.name)) {
			t.Errorf("%s is not pinned", k.name)
		}
	}
	for range 2 {
		if err := Drop(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSysctlsOfTheNodeAreRefused(t *testing.T) {
	for _, c := range []struct {
		n    Namespaces
		name string
		ok   bool
	}{
		{Namespaces{Net: true}, "net.core.somaxconn", true},
		{Namespaces{Net: true}, "net.ipv4.conf.eth0/1.forwarding", true},
		{Namespaces{}, "net.core.somaxconn", false},
		{Namespaces{IPC: true}, "kernel.sem", true},
		{Namespaces{IPC: true}, "fs/mqueue/msg_max", true},
		{Namespaces{}, "kernel.msgmax", false},
		{Namespaces{Net: true, IPC: true, UTS: true}, "kernel.panic", false},
		{Namespaces{Net: true, IPC: true, UTS: true}, "vm.swappiness", false},
		{Namespaces{Net: true}, "net/../kernel/panic", false},
	} {
		c.n.Sysctls = map[string]string{c.name: "1"}
		if err := c.n.CheckSysctls(); (err == nil) != c.ok {
			t.Errorf("%s with %+v: %v", c.name, c.n, err)
		}
	}
}

func TestOverlayOfManyLayers(t *testing.T) {
	dir, disk := room(t), t.TempDir()
	var lower []string
	for i := range 40 {
		l := filepath.Join(disk, strings.Repeat("l", 60)+string(rune('a'+i%26))+string(rune('a'+i/26)))
		if err := os.MkdirAll(l, 0o755); err != nil {
			t.Fatal(err)
		}
		lower = append(lower, l)
	}
	os.WriteFile(filepath.Join(lower[0], "top"), []byte("top"), 0o644)
	os.WriteFile(filepath.Join(lower[39], "top"), []byte("bottom"), 0o644)
	o := Overlay{Lower: lower, Upper: filepath.Join(disk, "up"), Work: filepath.Join(disk, "work")}
	root := filepath.Join(dir, "root")
	for range 2 {
		if err := o.Mount(root); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(root, "top")); string(got) != "top" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(filepath.Join(root, "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(disk, "up", "new")); err != nil {
		t.Error(err)
	}
	ro := filepath.Join(dir, "ro")
	if err := (Overlay{Lower: lower}).Mount(ro); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ro, "new"), nil, 0o644); err == nil {
		t.Error("an overlay without an upper layer took a write")
	}
	if err := (Overlay{Lower: lower[:1]}).Mount(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "one", "new"), nil, 0o644); err == nil {
		t.Error("a single layer took a write")
	}
}

func TestShm(t *testing.T) {
	dir := filepath.Join(room(t), "shm")
	for range 2 {
		if err := Shm(dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	if mounted, err := IsMount(dir); !mounted || err != nil {
		t.Error("not mounted", err)
	}
}
