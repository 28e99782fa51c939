package cri

import (
	"os"
	"strings"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (r *run) own(kind string) string {
	link, err := os.Readlink("/proc/self/ns/" + kind)
	r.must("readlink", err)
	return link
}

var namespaces = []check{
	{"all its own", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		for _, kind := range []string{"net", "ipc", "uts", "pid", "mnt"} {
			r.say("%s %t", kind, strings.TrimSpace(r.exec(id, "readlink", "/proc/1/ns/"+kind)) != r.own(kind))
		}
		r.say("user %t", strings.TrimSpace(r.exec(id, "readlink", "/proc/1/ns/user")) == r.own("user"))
	}, "net true\nipc true\nuts true\npid true\nmnt true\nuser true\n"},
	{"containers of one pod", func(r *run) {
		a, b := r.begin(r.shell("exec sleep 1000")), r.begin(r.shell("exec sleep 1000"))
		for _, kind := range []string{"net", "ipc", "uts", "pid", "mnt"} {
			x, y := r.exec(a, "readlink", "/proc/1/ns/"+kind), r.exec(b, "readlink", "/proc/1/ns/"+kind)
			r.say("%s %t", kind, x == y)
			if x != y && kind == "net" {
				r.say("%q %q", x, y)
			}
		}
	}, "net true\nipc true\nuts true\npid false\nmnt false\n"},
	{"the node's network", func(r *run) {
		id, pc := r.pod(func(c *api.PodSandboxConfig) {
			c.Hostname = ""
			c.Linux.SecurityContext.NamespaceOptions.Network = api.NamespaceMode_NODE
		})
		host, err := os.Hostname()
		r.must("host name", err)
		c := r.shell("exec sleep 1000")
		c.Linux.SecurityContext.NamespaceOptions.Network = api.NamespaceMode_NODE
		x := r.create(id, pc, c)
		r.start(x)
		st := r.podStatus(id)
		r.say("host name %t, %s, address %q", strings.TrimSpace(r.exec(x, "hostname")) == host, st.GetLinux().GetNamespaces().GetOptions().GetNetwork(), st.GetNetwork().GetIp())
		r.say("eth0: %s", r.exec(x, "sh", "-c", "ip link | grep -c eth0"))
	}, "host name true, NODE, address \"\"\neth0: 0\nexit 1\n"},
	{"the node's ipc", func(r *run) {
		id, pc := r.pod(func(c *api.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions.Ipc = api.NamespaceMode_NODE })
		c := r.shell("exec sleep 1000")
		c.Linux.SecurityContext.NamespaceOptions.Ipc = api.NamespaceMode_NODE
		x := r.create(id, pc, c)
		r.start(x)
		r.say("%t", strings.TrimSpace(r.exec(x, "readlink", "/proc/1/ns/ipc")) == r.own("ipc"))
	}, "true\n"},
	{"the node's processes", func(r *run) {
		id, pc := r.pod(func(c *api.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_NODE })
		c := r.shell("exec sleep 1000")
		c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_NODE
		x := r.create(id, pc, c)
		r.start(x)
		r.say("%t", strings.TrimSpace(r.exec(x, "readlink", "/proc/self/ns/pid")) == r.own("pid"))
	}, "true\n"},
	{"processes of the pod", func(r *run) {
		id, pc := r.pod(func(c *api.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD })
		make := func(script string) string {
			c := r.shell(script)
			c.Linux.SecurityContext.NamespaceOptions.Pid = api.NamespaceMode_POD
			x := r.create(id, pc, c)
			r.start(x)
			return x
		}
		a, b := make("exec sleep 4242"), make("exec sleep 1000")
		r.until("it sees the other", func() bool { return strings.Contains(r.exec(b, "ps"), "sleep 4242") })
		r.say("an init of its own %t", r.exec(b, "cat", "/proc/1/comm") != "sleep\n")
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: a})
		r.code("stop", err)
		r.say("%s", r.status(b).State)
	}, "an init of its own true\nstop: OK\nCONTAINER_RUNNING\n"},
	{"processes of a container", func(r *run) {
		target := r.begin(r.shell("exec sleep 4343"))
		c := r.shell("exec sleep 1000")
		c.Linux.SecurityContext.NamespaceOptions = &api.NamespaceOption{Pid: api.NamespaceMode_TARGET, TargetId: target}
		x := r.begin(c)
		r.until("it sees its target", func() bool { return strings.Contains(r.exec(x, "ps"), "sleep 4343") })
		c = r.shell("exec sleep 1000")
		c.Linux.SecurityContext.NamespaceOptions = &api.NamespaceOption{Pid: api.NamespaceMode_TARGET, TargetId: nowhere}
		_, err := r.tryCreate(r.sharedID, r.shared, c)
		r.refused("no such target", err)
	}, "no such target: refused\n"},
	{"shared memory of the pod", func(r *run) {
		a, b := r.begin(r.shell("exec sleep 1000")), r.begin(r.shell("exec sleep 1000"))
		r.exec(a, "sh", "-c", "echo hello >/dev/shm/x")
		r.say("%s", r.exec(b, "cat", "/dev/shm/x"))
	}, "hello\n"},
	{"loopback of the pod", func(r *run) {
		a, b := r.begin(r.shell("exec httpd -f -p 127.0.0.1:8081 -h /data")), r.begin(r.shell("exec sleep 1000"))
		r.until("it serves", func() bool {
			return strings.HasPrefix(r.exec(a, "wget", "-q", "-O", "-", "http://127.0.0.1:8081/part"), "a part")
		})
		r.say("%s", r.exec(b, "wget", "-q", "-O", "-", "http://127.0.0.1:8081/part"))
	}, "a part of an image\n"},
	{"a user namespace", func(r *run) {
		ids := []*api.IDMapping{{HostId: 300000, ContainerId: 0, Length: 65536}}
		users := &api.UserNamespace{Mode: api.NamespaceMode_POD, Uids: ids, Gids: ids}
		pc := r.podConfig()
		pc.Linux.SecurityContext.NamespaceOptions.UsernsOptions = users
		p, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: pc})
		if err != nil {
			r.refused("run", err)
			return
		}
		r.pods = append(r.pods, p.PodSandboxId)
		r.shIn(p.PodSandboxId, pc, "id -u; tr -s ' ' </proc/self/uid_map; touch /x && stat -c %u /x /bin/busybox", func(c *api.ContainerConfig) {
			c.Linux.SecurityContext.NamespaceOptions.UsernsOptions = users
		})
	}, "0\n 0 300000 65536\n0\n0\n"},
}
