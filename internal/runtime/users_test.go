package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// withUsers gives a pod a user namespace whose root is user 300000 of the node.
func withUsers(pc *api.PodSandboxConfig) *api.UserNamespace {
	ids := []*api.IDMapping{{HostId: 300000, ContainerId: 0, Length: 65536}}
	u := &api.UserNamespace{Mode: api.NamespaceMode_POD, Uids: ids, Gids: ids}
	pc.Linux.SecurityContext.NamespaceOptions.UsernsOptions = u
	return u
}

func usersContainer(u *api.UserNamespace, name, script string) *api.ContainerConfig {
	c := shell(name, script)
	c.Linux.SecurityContext.NamespaceOptions.UsernsOptions = u
	return c
}

// TestUserNamespace: root inside is nobody outside, and still owns its files.
func TestUserNamespace(t *testing.T) {
	m := newMachine(t)
	st, err := m.Status(m.ctx(), &api.StatusRequest{})
	if err != nil || !st.RuntimeHandlers[0].Features.UserNamespaces {
		t.Fatalf("the handler does not say that it has user namespaces: %v, %v", st, err)
	}
	m.usersStory("")
}

// usersStory is a pod with a user namespace, of our own or of another runtime's.
func (m *machine) usersStory(handler string) {
	t := m.t
	pc := m.pod()
	pc.Linux.Sysctls = map[string]string{"net.ipv4.ip_local_port_range": "2000 3000", "kernel.shm_rmid_forced": "1"}
	u := withUsers(pc)
	volume := t.TempDir()
	if err := os.Chmod(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(volume, "secret"), []byte("of root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := usersContainer(u, "c", `id -u; tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map
ls -ldn /bin/busybox /etc/hosts /etc/passwd /dev/shm /volume/secret /tmp | tr -s ' ' | cut -d' ' -f1,3,4
cat /volume/secret; touch /volume/made /made /dev/shm/made && chown 5:6 /made && echo owns
cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced; hostname
ping -c1 -W1 127.0.0.1 >/dev/null 2>&1; httpd -p 80 && echo serves; (echo x > /dev/null) && echo null
mount -t tmpfs x /tmp 2>/dev/null && echo mounted; ls /sys/class/net | tr '\n' ' '; echo; exec sleep 1000`)
	c.Mounts = []*api.Mount{{HostPath: volume, ContainerPath: "/volume", UidMappings: u.Uids, GidMappings: u.Gids},
		{Image: &api.ImageSpec{Image: testImage}, ContainerPath: "/image", Readonly: true, UidMappings: u.Uids, GidMappings: u.Gids}}
	made, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: pc, RuntimeHandler: handler})
	if err != nil {
		t.Fatal(err)
	}
	pod := made.PodSandboxId
	id := m.create(pod, pc, c)
	m.begin(id)
	want := "0\n 0 300000 65536\n 0 300000 65536\n-rwxr-xr-x 0 0\ndrwxrwxrwt 0 0\n-rw-r--r-- 0 0\n-rw-r--r-- 0 0\ndrwxrwxrwt 0 0\n-rw------- 0 0\nof root\nowns\n2000\t3000\n1\n" +
		pc.Hostname + "\nserves\nnull\neth0 lo \n"
	eventually(t, "the container has spoken", func() bool {
		return strings.HasSuffix(m.output(id), "lo \n") || m.status(id).State == api.ContainerState_CONTAINER_EXITED
	})
	if got := m.output(id); got != want {
		t.Errorf("%q, want %q (%+v)", got, want, m.status(id))
	}
	var s syscall.Stat_t
	pid := m.server.containers.Get(id).PID
	if err := syscall.Stat(fmt.Sprintf("/proc/%d", pid), &s); err != nil || s.Uid != 300000 {
		t.Errorf("the process runs as user %d of the node: %v", s.Uid, err)
	}
	if err := syscall.Stat(filepath.Join(volume, "made"), &s); err != nil || s.Uid != 0 {
		t.Errorf("a file made through the idmapped volume belongs to %d: %v", s.Uid, err)
	}
	x, err := m.ExecSync(m.ctx(), &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "id -u; readlink /proc/self/ns/user > /a; readlink /proc/1/ns/user > /b; cmp /a /b && ls -ln /image/bin/busybox | tr -s ' ' | cut -d' ' -f3"}})
	if err != nil || string(x.GetStdout()) != "0\n0\n" {
		t.Errorf("exec: %q, %v", x, err)
	}
	m.restart()
	if got := m.status(id); got.State != api.ContainerState_CONTAINER_RUNNING {
		t.Errorf("after a restart: %v", got)
	}
	m.remove(pod)
}

// TestUserNamespaceShared: the init of a shared pid namespace lives in the pod's user namespace too.
func TestUserNamespaceShared(t *testing.T) {
	m := newMachine(t)
	pc := m.pod()
	pc.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	u := withUsers(pc)
	c := usersContainer(u, "c", "tr -s ' ' < /proc/1/uid_map; cat /proc/1/comm")
	c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
	if out, st := m.once(pc, c); out != " 0 300000 65536\npause\n" {
		t.Errorf("%q, %+v", out, st)
	}
}

func TestUserNamespaceRefusals(t *testing.T) {
	m := newMachine(t)
	for name, edit := range map[string]func(*api.PodSandboxConfig, *api.UserNamespace){
		"no mapping":  func(_ *api.PodSandboxConfig, u *api.UserNamespace) { u.Uids = nil },
		"not a range": func(_ *api.PodSandboxConfig, u *api.UserNamespace) { u.Gids = []*api.IDMapping{{HostId: 5}} },
		"root": func(_ *api.PodSandboxConfig, u *api.UserNamespace) {
			u.Uids = []*api.IDMapping{{ContainerId: 5, HostId: 5, Length: 5}}
		},
		"network": func(pc *api.PodSandboxConfig, _ *api.UserNamespace) {
			pc.Linux.SecurityContext.NamespaceOptions.Network = api.NamespaceMode_NODE
		},
		"POD or NODE":     func(_ *api.PodSandboxConfig, u *api.UserNamespace) { u.Mode = api.NamespaceMode_CONTAINER },
		"has no mappings": func(_ *api.PodSandboxConfig, u *api.UserNamespace) { u.Mode = api.NamespaceMode_NODE },
	} {
		pc := m.pod()
		edit(pc, withUsers(pc))
		if _, err := m.RunPodSandbox(m.ctx(), &api.RunPodSandboxRequest{Config: pc}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pc := m.pod()
	u := withUsers(pc)
	pod := m.run(pc)
	c := usersContainer(&api.UserNamespace{Mode: api.NamespaceMode_POD, Uids: u.Uids, Gids: []*api.IDMapping{{HostId: 7, Length: 7}}}, "c", "true")
	if _, err := m.CreateContainer(m.ctx(), &api.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: pc}); err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("other mappings than the pod's: %v", err)
	}
	m.remove(pod)
}
