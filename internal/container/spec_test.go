package container

import (
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestSpecBecomesCRI(t *testing.T) {
	e := &Engine{Cgroup: "/c/run", Logs: "/data/log/run"}
	s := Spec{Name: "web_1", Image: "nginx", ImageID: "sha256:1", Entrypoint: "/e", Args: []string{"a"}, Env: []string{"A=b=c"}, User: "1000:50", TTY: true,
		Memory: 1 << 20, CPUs: 0.5, CapAdd: []string{"NET_ADMIN"}, Ports: []Port{{"", 1, 2, "udp"}}, Volumes: []Volume{{Host: "/h", Container: "/c", ReadOnly: true}}, Network: "none"}
	box, err := s.sandbox(e, 0)
	if err != nil {
		t.Fatal(err)
	}
	if box.Hostname != "web-1" || box.LogDirectory != "/data/log/run/web_1" || box.Linux.CgroupParent != "/c/run/web_1" ||
		box.PortMappings[0].Protocol != cri.Protocol_UDP || box.Annotations[noNetwork] == "" || box.Labels[Label] != "web_1" {
		t.Errorf("%+v", box)
	}
	back, err := readSpec(box.Annotations)
	if err != nil || back.Name != s.Name || len(back.Ports) != 1 || back.Volumes[0] != s.Volumes[0] {
		t.Errorf("%+v, %v", back, err)
	}
	c := s.container(2, true)
	sec := c.Linux.SecurityContext
	if c.Metadata.Attempt != 2 || c.Command[0] != "/e" || c.Args[0] != "a" || string(c.Envs[0].Value) != "xterm" || string(c.Envs[1].Value) != "b=c" ||
		sec.RunAsUser.Value != 1000 || sec.RunAsGroup.Value != 50 || c.Linux.Resources.CpuQuota != 50_000 || !c.Mounts[0].Readonly ||
		sec.Seccomp.ProfileType != cri.SecurityProfile_RuntimeDefault || len(sec.MaskedPaths) == 0 || c.Annotations[keepEarly] == "" {
		t.Errorf("%+v", c)
	}
	s = Spec{Name: "x", Network: "host", Privileged: true, Detached: true, User: "web:staff"}
	if box, err = s.sandbox(e, 0); err != nil || box.Hostname != "" || box.Linux.SecurityContext.NamespaceOptions.Network != cri.NamespaceMode_NODE {
		t.Errorf("%+v, %v", box, err)
	}
	if c = s.container(0, false); c.Linux.SecurityContext.RunAsUsername != "web:staff" {
		t.Errorf("a group by name: %v", c.Linux.SecurityContext)
	}
	s.User, s.Nonce = "web", "abc"
	if c = s.container(0, false); c.Annotations[layer] != "abc" || c.Linux.SecurityContext.Seccomp != nil || c.Linux.SecurityContext.MaskedPaths != nil ||
		c.Linux.SecurityContext.RunAsUsername != "web" || c.Annotations[keepEarly] != "" {
		t.Errorf("%+v", c)
	}
}
