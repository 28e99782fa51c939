package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func input(t *testing.T) Input {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	node, err := ThisNode()
	if err != nil {
		t.Fatal(err)
	}
	return Input{Container: &cri.ContainerConfig{}, Image: v1.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"default"}}, Rootfs: root, Node: node}
}

func TestCommandAndArguments(t *testing.T) {
	for _, c := range []struct{ command, args, want string }{
		{"", "", "entry default"},
		{"", "mine", "entry mine"},
		{"run", "", "run"},
		{"run", "mine", "run mine"},
	} {
		in := input(t)
		in.Container.Command, in.Container.Args = strings.Fields(c.command), strings.Fields(c.args)
		s, _, err := Build(in)
		if err != nil || strings.Join(s.Process.Args, " ") != c.want {
			t.Errorf("%+v: %v %v", c, s.Process.Args, err)
		}
	}
	in := input(t)
	in.Image = v1.ImageConfig{}
	if _, _, err := Build(in); err == nil || !strings.Contains(err.Error(), "no command specified") {
		t.Errorf("nothing to run: %v", err)
	}
}

// An image's accounts are read as from inside: links cannot lead out, and what is no plain file is refused.
func TestAccountsStayInTheImage(t *testing.T) {
	in := input(t)
	secret := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(secret, []byte("thief:x:7:7::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	passwd := filepath.Join(in.Rootfs, "etc", "passwd")
	in.Container.Linux = &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{RunAsUsername: "thief"}}
	for _, link := range []string{secret, "../../../../../../../../.." + secret} {
		if err := os.Symlink(link, passwd); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Build(in); err == nil || !strings.Contains(err.Error(), "not in the image") {
			t.Errorf("%s was followed out of the image: %v", link, err)
		}
		os.Remove(passwd)
	}
	if err := unix.Mkfifo(passwd, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Build(in); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a FIFO: %v", err)
	}
}

func TestCapabilitySets(t *testing.T) {
	for _, c := range []struct {
		add, drop string
		want      string // "" for the defaults
		err       string
	}{
		{"", "ALL", "none", ""},
		{"CHOWN", "all", "CAP_CHOWN", ""},
		{"cap_chown KILL", "ALL KILL", "CAP_CHOWN", ""},
		{"NO_SUCH", "", "", "unknown capability"},
	} {
		in := input(t)
		in.Container.Linux = &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
			Capabilities: &cri.Capability{AddCapabilities: strings.Fields(c.add), DropCapabilities: strings.Fields(c.drop)}}}
		s, _, err := Build(in)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		got := strings.Join(s.Process.Capabilities.Effective, " ")
		if got == "" {
			got = "none"
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %q %v", c, got, err)
		}
	}
}

func TestEnvironmentMerges(t *testing.T) {
	got := merge([]string{"A=1", "B=2", "A=3", "C", "B=="})
	if !slices.Equal(got, []string{"A=3", "B==", "C"}) {
		t.Errorf("%q", got)
	}
}

func TestMountsAreOrderedAndReplaced(t *testing.T) {
	in := input(t)
	host := t.TempDir()
	for _, p := range []string{"/a/b/c", "/a", "/dev/shm", "/a/b"} {
		in.Container.Mounts = append(in.Container.Mounts, &cri.Mount{ContainerPath: p, HostPath: host})
	}
	in.Container.Annotations = map[string]string{Tmpfs: `{"/a/b/mem": "size=1m,exec"}`}
	s, _, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, m := range s.Mounts {
		if m.Source == host || m.Destination == "/a/b/mem" && slices.Equal(m.Options, []string{"nosuid", "nodev", "noexec", "mode=1777", "size=1m", "exec"}) {
			order = append(order, m.Destination)
		}
	}
	if !slices.Equal(order, []string{"/a", "/dev/shm", "/a/b", "/a/b/c", "/a/b/mem"}) {
		t.Errorf("order %v", order)
	}
	for _, bad := range []*cri.Mount{
		{ContainerPath: "/v", HostPath: "relative"},
		{ContainerPath: "", HostPath: host},
		{ContainerPath: "/v", HostPath: host, RecursiveReadOnly: true},
		{ContainerPath: "/v", HostPath: host, MountOptions: []string{"suid,evil"}},
		{ContainerPath: "/v", HostPath: host, Image: &cri.ImageSpec{Image: "x"}},
	} {
		in.Container.Mounts = []*cri.Mount{bad}
		if _, _, err := Build(in); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestTmpfsIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{"mem": ""}`: "must be an absolute path", `{"/": ""}`: "must be an absolute path", `["/mem"]`: "annotation minato.dev/tmpfs",
		`{"/mem": "size"}`: `option "size"`, `{"/mem": "lowerdir=/"}`: `option "lowerdir=/"`, `{"/mem": "size="}`: `option "size="`,
	} {
		in := input(t)
		in.Container.Annotations = map[string]string{Tmpfs: text}
		if _, _, err := Build(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMountOf(t *testing.T) {
	info := "1 0 8:1 / / rw shared:1 - ext4 x rw\n2 1 8:2 / /var rw master:1 - ext4 y rw\n3 1 8:2 / /var/lib rw - ext4 y rw\n"
	for path, want := range map[string]string{"/etc": "/ shared:1", "/var": "/var master:1", "/var/lib/x": "/var/lib ", "/variable": "/ shared:1"} {
		point, opt := mountOf(info, path)
		if got := point + " " + strings.Join(opt, ","); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", "wheel:x:10:root,web\n:::\n")
	f.Add("#c\nx:y\n\x00:::", "a:b:99999999999:c")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		d := directory{parsePasswd(passwd), parseGroup(group)}
		if u, err := d.resolve("0", ""); err != nil || u.UID != 0 && len(d.accounts) == 0 {
			t.Errorf("%v %v", u, err)
		}
		d.of(0)
	})
}
