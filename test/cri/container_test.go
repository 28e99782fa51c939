package cri

import (
	"strings"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (r *run) list(f *api.ContainerFilter, ids ...string) string {
	l, err := r.ListContainers(r.ctx, &api.ListContainersRequest{Filter: f})
	r.must("list", err)
	var names []string
	for i, id := range ids {
		for _, c := range l.Containers {
			if c.Id == id {
				names = append(names, string(rune('a'+i)))
			}
		}
	}
	return strings.Join(names, " ")
}

var container = []check{
	{"life", func(r *run) {
		id := r.create(r.sharedID, r.shared, r.shell("exec sleep 1000"))
		st := r.status(id)
		r.say("%s created %t started %t finished %t", st.State, st.CreatedAt > 0, st.StartedAt > 0, st.FinishedAt > 0)
		r.start(id)
		st = r.status(id)
		r.say("%s started %t finished %t", st.State, st.StartedAt > st.CreatedAt, st.FinishedAt > 0)
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id})
		r.code("stop", err)
		st = r.status(id)
		r.say("%s exit %d %s finished %t", st.State, st.ExitCode, st.Reason, st.FinishedAt >= st.StartedAt)
		_, err = r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id})
		r.code("stop again", err)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.code("remove", err)
		_, err = r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: id})
		r.code("status", err)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.code("remove again", err)
	}, `
CONTAINER_CREATED created true started false finished false
CONTAINER_RUNNING started true finished false
stop: OK
CONTAINER_EXITED exit 137 Error finished true
stop again: OK
remove: OK
status: NotFound
remove again: OK
`},
	{"status", func(r *run) {
		c := r.shell("exec sleep 1000")
		c.Metadata.Attempt = 3
		c.Mounts = []*api.Mount{{HostPath: r.dir, ContainerPath: "/v", Readonly: true}}
		id := r.begin(c)
		st := r.status(id)
		r.say("%t %s attempt %d", st.Id == id, map[bool]string{true: "name"}[st.Metadata.Name == c.Metadata.Name], st.Metadata.Attempt)
		r.say("image %q of %q, id %t ref %t", st.Image.GetImage(), toolbox, strings.HasPrefix(st.ImageId, "sha256:"), st.ImageRef != "")
		r.say("labels %s annotations %s", st.Labels["of"], st.Annotations["note"])
		r.say("log %t", strings.HasSuffix(st.LogPath, "/"+c.LogPath))
		for _, m := range st.Mounts {
			r.say("mount %t %s %t", m.HostPath == r.dir, m.ContainerPath, m.Readonly)
		}
		u := st.GetUser().GetLinux()
		r.say("user %d %d %v", u.GetUid(), u.GetGid(), u.GetSupplementalGroups())
		l, err := r.ListContainers(r.ctx, &api.ListContainersRequest{Filter: &api.ContainerFilter{Id: id}})
		r.must("list", err)
		x := l.Containers[0]
		r.say("listed %s pod %t image %q id %t ref %t %s %s attempt %d", x.State, x.PodSandboxId == r.sharedID, x.Image.GetImage(), x.ImageId == st.ImageId, x.ImageRef != "", x.Labels["of"], x.Annotations["note"], x.Metadata.Attempt)
		v, err := r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: id, Verbose: true})
		r.must("verbose", err)
		r.say("info %t", len(v.Info) > 0)
	}, `
true name attempt 3
image "docker.io/library/toolbox:1" of "docker.io/library/toolbox:1", id true ref true
labels critest annotations a container
log true
mount true /v true
user 0 0 [0 2002]
listed CONTAINER_RUNNING pod true image "docker.io/library/toolbox:1" id true ref true critest a container attempt 3
info true
`},
	{"unknown ids", func(r *run) {
		_, err := r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: nowhere})
		r.code("status", err)
		_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: nowhere})
		r.code("start", err)
		_, err = r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: nowhere})
		r.code("stop", err)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: nowhere})
		r.code("remove", err)
		_, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: nowhere, Cmd: []string{"true"}})
		r.code("exec", err)
		_, err = r.Exec(r.ctx, &api.ExecRequest{ContainerId: nowhere, Cmd: []string{"true"}, Stdout: true})
		r.code("exec stream", err)
		_, err = r.Attach(r.ctx, &api.AttachRequest{ContainerId: nowhere, Stdout: true})
		r.code("attach", err)
		_, err = r.UpdateContainerResources(r.ctx, &api.UpdateContainerResourcesRequest{ContainerId: nowhere, Linux: &api.LinuxContainerResources{CpuShares: 5}})
		r.code("update", err)
		_, err = r.ReopenContainerLog(r.ctx, &api.ReopenContainerLogRequest{ContainerId: nowhere})
		r.code("reopen", err)
		_, err = r.ContainerStats(r.ctx, &api.ContainerStatsRequest{ContainerId: nowhere})
		r.code("stats", err)
	}, `
status: NotFound
start: NotFound
stop: OK
remove: OK
exec: NotFound
exec stream: NotFound
attach: NotFound
update: NotFound
reopen: NotFound
stats: NotFound
`},
	{"short ids", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		r.say("status %t", r.status(id[:16]).Id == id)
		r.say("exec %s", r.exec(id[:16], "echo", "yes"))
		r.say("list %s", r.list(&api.ContainerFilter{Id: id[:16]}, id))
		r.say("pod %s", r.list(&api.ContainerFilter{PodSandboxId: r.sharedID[:16], Id: id}, id))
	}, "status true\nexec yes\nlist a\npod a\n"},
	{"out of order", func(r *run) {
		id := r.create(r.sharedID, r.shared, r.shell("exec sleep 1000"))
		_, err := r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"true"}})
		r.refused("exec before the start", err)
		_, err = r.Attach(r.ctx, &api.AttachRequest{ContainerId: id, Stdout: true})
		r.refused("attach before the start", err)
		_, err = r.ReopenContainerLog(r.ctx, &api.ReopenContainerLogRequest{ContainerId: id})
		r.refused("reopen before the start", err)
		r.start(id)
		_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
		r.refused("start twice", err)
		_, err = r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id})
		r.code("stop", err)
		_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
		r.refused("start after the end", err)
		_, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"true"}})
		r.refused("exec after the end", err)
		_, err = r.UpdateContainerResources(r.ctx, &api.UpdateContainerResourcesRequest{ContainerId: id, Linux: &api.LinuxContainerResources{CpuShares: 50}})
		r.refused("update after the end", err)
	}, `
exec before the start: refused
attach before the start: refused
reopen before the start: refused
start twice: refused
stop: OK
start after the end: refused
exec after the end: refused
update after the end: refused
`},
	{"stopped before the start", func(r *run) {
		id := r.create(r.sharedID, r.shared, r.shell("exec sleep 1000"))
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id})
		r.code("stop", err)
		r.say("%s", r.status(id).State)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.code("remove", err)
	}, "stop: OK\nCONTAINER_CREATED\nremove: OK\n"},
	{"removing a running one", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		_, err := r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.code("remove", err)
		_, err = r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: id})
		r.code("status", err)
	}, "remove: OK\nstatus: NotFound\n"},
	{"one name once", func(r *run) {
		c := r.shell("exec sleep 1000")
		r.begin(c)
		again := r.shell("true")
		again.Metadata = c.Metadata
		_, err := r.tryCreate(r.sharedID, r.shared, again)
		r.refused("same name", err)
		again.Metadata = &api.ContainerMetadata{Name: c.Metadata.Name, Attempt: 1}
		_, err = r.tryCreate(r.sharedID, r.shared, again)
		r.refused("second attempt", err)
	}, "same name: refused\nsecond attempt: done\n"},
	{"what cannot be made", func(r *run) {
		for _, bad := range []struct {
			what string
			edit func(*api.ContainerConfig)
		}{
			{"no metadata", func(c *api.ContainerConfig) { c.Metadata = nil }},
			{"no image", func(c *api.ContainerConfig) { c.Image = nil }},
			{"an image that is not here", func(c *api.ContainerConfig) { c.Image = &api.ImageSpec{Image: "docker.io/library/none:1"} }},
			{"an unknown user", func(c *api.ContainerConfig) { c.Linux.SecurityContext.RunAsUsername = "nobody-here" }},
			{"a group without a user", func(c *api.ContainerConfig) {
				c.Linux.SecurityContext.RunAsGroup = &api.Int64Value{Value: 5}
			}},
			{"an unknown capability", func(c *api.ContainerConfig) {
				c.Linux.SecurityContext.Capabilities = &api.Capability{AddCapabilities: []string{"FLY"}}
			}},
		} {
			c := r.shell("true")
			bad.edit(c)
			id, err := r.tryCreate(r.sharedID, r.shared, c)
			if err == nil {
				_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
			}
			r.refused(bad.what, err)
		}
	}, `
no metadata: refused
no image: refused
an image that is not here: refused
an unknown user: refused
a group without a user: refused
an unknown capability: refused
`},
	{"what cannot be started", func(r *run) {
		for _, cmd := range []string{"no-such-program", "/etc/passwd", "/no/such/program"} {
			c := r.shell("true")
			c.Command = []string{cmd}
			id := r.create(r.sharedID, r.shared, c)
			_, err := r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
			st := r.status(id)
			r.say("%s: %t %t, %s exit %d %s, says why: %t", cmd, err != nil, err != nil && strings.Contains(err.Error(), cmd), st.State, st.ExitCode, st.Reason, strings.Contains(st.Message, cmd))
		}
	}, `
no-such-program: true true, CONTAINER_EXITED exit 128 StartError, says why: true
/etc/passwd: true true, CONTAINER_EXITED exit 128 StartError, says why: true
/no/such/program: true true, CONTAINER_EXITED exit 128 StartError, says why: true
`},
	{"what is no program", func(r *run) {
		c := r.shell("true")
		c.Command = []string{"/bin/garbage"}
		id := r.begin(c)
		st := r.ended(id)
		r.until("it speaks", func() bool { return r.log(id) != "" })
		r.say("exit %d %s: %s", st.ExitCode, st.Reason, r.log(id))
	}, "exit 255 Error: exec /bin/garbage: exec format error\n"},
	{"filters", func(r *run) {
		pod, pc := r.pod(nil)
		ca, cb := r.shell("exec sleep 1000"), r.shell("true")
		ca.Labels["which"], cb.Labels["which"] = "a", "b"
		a, b := r.create(pod, pc, ca), r.create(pod, pc, cb)
		r.start(a)
		r.start(b)
		r.ended(b)
		c := r.create(pod, pc, r.shell("true"))
		state := func(s api.ContainerState) *api.ContainerStateValue { return &api.ContainerStateValue{State: s} }
		for _, f := range []struct {
			what   string
			filter *api.ContainerFilter
		}{
			{"all", nil},
			{"id", &api.ContainerFilter{Id: b}},
			{"no such id", &api.ContainerFilter{Id: nowhere}},
			{"pod", &api.ContainerFilter{PodSandboxId: pod}},
			{"another pod", &api.ContainerFilter{PodSandboxId: r.sharedID}},
			{"created", &api.ContainerFilter{PodSandboxId: pod, State: state(api.ContainerState_CONTAINER_CREATED)}},
			{"running", &api.ContainerFilter{PodSandboxId: pod, State: state(api.ContainerState_CONTAINER_RUNNING)}},
			{"exited", &api.ContainerFilter{PodSandboxId: pod, State: state(api.ContainerState_CONTAINER_EXITED)}},
			{"label", &api.ContainerFilter{LabelSelector: map[string]string{"which": "b"}}},
			{"label and state", &api.ContainerFilter{LabelSelector: map[string]string{"which": "b"}, State: state(api.ContainerState_CONTAINER_RUNNING)}},
		} {
			r.say("%s: %s", f.what, r.list(f.filter, a, b, c))
		}
	}, `
all: a b c
id: b
no such id: 
pod: a b c
another pod: 
created: c
running: a
exited: b
label: b
label and state: 
`},
	{"how it ends", func(r *run) {
		for _, script := range []string{"exit 0", "exit 7", "sleep 1000 & kill -9 $!; wait $!; exit $?", "exec kill -9 1"} {
			id := r.begin(r.shell(script))
			st := r.ended(id)
			r.say("%s: exit %d %s", script, st.ExitCode, st.Reason)
		}
	}, "exit 0: exit 0 Completed\nexit 7: exit 7 Error\nsleep 1000 & kill -9 $!; wait $!; exit $?: exit 137 Error\nexec kill -9 1: exit 0 Completed\n"},
	{"out of memory", func(r *run) {
		c := r.shell("")
		c.Command = []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"}
		c.Linux.Resources.MemoryLimitInBytes = 16 << 20
		st := r.ended(r.begin(c))
		r.say("exit %d %s", st.ExitCode, st.Reason)
	}, "exit 137 OOMKilled\n"},
	{"a gentle stop", func(r *run) {
		id := r.begin(r.shell("trap 'exit 5' TERM; touch /ready; while true; do sleep 0.02; done"))
		r.until("it is ready", func() bool { return r.exec(id, "ls", "/ready") == "/ready\n" })
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id, Timeout: 20})
		r.code("stop", err)
		st := r.status(id)
		r.say("%s exit %d", st.State, st.ExitCode)
	}, "stop: OK\nCONTAINER_EXITED exit 5\n"},
	{"a stop that is not heard", func(r *run) {
		id := r.begin(r.shell("trap '' TERM; touch /ready; while true; do sleep 0.02; done"))
		r.until("it is ready", func() bool { return r.exec(id, "ls", "/ready") == "/ready\n" })
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id, Timeout: 1})
		r.code("stop", err)
		r.say("exit %d", r.status(id).ExitCode)
	}, "stop: OK\nexit 137\n"},
	{"a stop signal of its own", func(r *run) {
		c := r.shell("trap 'exit 6' USR1; touch /ready; while true; do sleep 0.02; done")
		c.StopSignal = api.Signal_SIGNAL_SIGUSR1
		id := r.begin(c)
		r.until("it is ready", func() bool { return r.exec(id, "ls", "/ready") == "/ready\n" })
		_, err := r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id, Timeout: 20})
		r.code("stop", err)
		st := r.status(id)
		r.say("exit %d %s", st.ExitCode, st.StopSignal)
	}, "stop: OK\nexit 6 SIGNAL_SIGUSR1\n"},
	{"exec", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		x, err := r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}})
		r.must("exec", err)
		r.say("%q %q %d", x.Stdout, x.Stderr, x.ExitCode)
		_, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"no-such-program"}})
		r.refused("no such program", err)
		_, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id})
		r.refused("nothing", err)
		_, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sleep", "60"}, Timeout: 1})
		r.code("too long", err)
		r.until("it is gone", func() bool { return !strings.Contains(r.exec(id, "ps"), "sleep 60") })
		x, err = r.ExecSync(r.ctx, &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "dd if=/dev/zero bs=1M count=3 2>/dev/null"}})
		r.must("much", err)
		r.say("%d bytes", len(x.Stdout))
		r.say("%s", r.exec(id, "sh", "-c", "env | sort"))
	}, `
"out\n" "err\n" 3
no such program: refused
nothing: refused
too long: DeadlineExceeded
3145728 bytes
FROM=image
HOME=/root
HOSTNAME=pod1
PATH=/bin
PWD=/
SHLVL=1
`},
}
