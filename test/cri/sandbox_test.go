package cri

import (
	"os"
	"strings"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// nowhere is an id that nothing has.
const nowhere = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func (r *run) podList(f *api.PodSandboxFilter) string {
	l, err := r.ListPodSandbox(r.ctx, &api.ListPodSandboxRequest{Filter: f})
	r.must("list pods", err)
	var names []string
	for _, p := range l.Items {
		for i, id := range r.pods {
			if p.Id == id {
				names = append(names, string(rune('a'+i)))
			}
		}
	}
	return strings.Join(names, " ")
}

var sandbox = []check{
	{"life", func(r *run) {
		id, pc := r.pod(nil)
		st := r.podStatus(id)
		r.say("%s id %t uid %t name %t attempt %d", st.State, st.Id == id, st.Metadata.Uid == pc.Metadata.Uid, st.Metadata.Name == pc.Metadata.Name, st.Metadata.Attempt)
		r.say("labels %t %s annotations %s handler %q", st.Labels["pod"] == pc.Metadata.Name, st.Labels["of"], st.Annotations["note"], st.RuntimeHandler)
		o := st.GetLinux().GetNamespaces().GetOptions()
		r.say("created %t address %t namespaces %s %s %s", st.CreatedAt > 0, st.GetNetwork().GetIp() != "", o.GetNetwork(), o.GetPid(), o.GetIpc())
		_, err := r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: id})
		r.code("stop", err)
		st = r.podStatus(id)
		r.say("%s address %q", st.State, st.GetNetwork().GetIp())
		_, err = r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: id})
		r.code("stop again", err)
		_, err = r.RemovePodSandbox(r.ctx, &api.RemovePodSandboxRequest{PodSandboxId: id})
		r.code("remove", err)
		_, err = r.PodSandboxStatus(r.ctx, &api.PodSandboxStatusRequest{PodSandboxId: id})
		r.code("status", err)
		r.say("listed %q", r.podList(nil))
		_, err = r.RemovePodSandbox(r.ctx, &api.RemovePodSandboxRequest{PodSandboxId: id})
		r.code("remove again", err)
	}, `
SANDBOX_READY id true uid true name true attempt 0
labels true critest annotations a pod handler ""
created true address true namespaces POD CONTAINER POD
stop: OK
SANDBOX_NOTREADY address ""
stop again: OK
remove: OK
status: NotFound
listed ""
remove again: OK
`},
	{"unknown ids", func(r *run) {
		_, err := r.PodSandboxStatus(r.ctx, &api.PodSandboxStatusRequest{PodSandboxId: nowhere})
		r.code("status", err)
		_, err = r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: nowhere})
		r.code("stop", err)
		_, err = r.RemovePodSandbox(r.ctx, &api.RemovePodSandboxRequest{PodSandboxId: nowhere})
		r.code("remove", err)
		_, err = r.PodSandboxStats(r.ctx, &api.PodSandboxStatsRequest{PodSandboxId: nowhere})
		r.code("stats", err)
		_, err = r.PortForward(r.ctx, &api.PortForwardRequest{PodSandboxId: nowhere, Port: []int32{80}})
		r.code("port-forward", err)
		_, err = r.tryCreate(nowhere, r.podConfig(), r.shell("true"))
		r.code("create", err)
	}, "status: NotFound\nstop: OK\nremove: OK\nstats: NotFound\nport-forward: NotFound\ncreate: NotFound\n"},
	{"one name once", func(r *run) {
		_, pc := r.pod(nil)
		again := r.podConfig()
		again.Metadata = pc.Metadata
		_, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: again})
		r.refused("same name", err)
		second := r.podConfig()
		second.Metadata = &api.PodSandboxMetadata{Name: pc.Metadata.Name, Namespace: pc.Metadata.Namespace, Uid: pc.Metadata.Uid, Attempt: 1}
		r.say("second attempt: %d", r.podStatus(r.runPod(second)).Metadata.Attempt)
	}, "same name: refused\nsecond attempt: 1\n"},
	{"without a name", func(r *run) {
		pc := r.podConfig()
		pc.Metadata = nil
		_, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: pc})
		r.refused("run", err)
	}, "run: refused\n"},
	{"unknown handler", func(r *run) {
		_, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: r.podConfig(), RuntimeHandler: "no-such-handler"})
		r.refused("run", err)
		r.say("its name is in the error: %t", err != nil && strings.Contains(err.Error(), "no-such-handler"))
	}, "run: refused\nits name is in the error: true\n"},
	{"the handler runc", func(r *run) {
		pc := r.podConfig()
		p, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: pc, RuntimeHandler: "runc"})
		r.must("run", err)
		r.pods = append(r.pods, p.PodSandboxId)
		r.say("%q", r.podStatus(p.PodSandboxId).RuntimeHandler)
	}, "\"runc\"\n"},
	{"filters", func(r *run) {
		a, pc := r.pod(nil)
		b, _ := r.pod(func(c *api.PodSandboxConfig) { c.Labels["which"] = "b" })
		c, _ := r.pod(func(c *api.PodSandboxConfig) { c.Labels["which"] = "c" })
		_, err := r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: c})
		r.must("stop", err)
		state := func(s api.PodSandboxState) *api.PodSandboxStateValue { return &api.PodSandboxStateValue{State: s} }
		r.say("id: %s", r.podList(&api.PodSandboxFilter{Id: a}))
		r.say("short id: %s", r.podList(&api.PodSandboxFilter{Id: b[:20]}))
		r.say("no such id: %s", r.podList(&api.PodSandboxFilter{Id: nowhere}))
		r.say("label: %s", r.podList(&api.PodSandboxFilter{LabelSelector: map[string]string{"pod": pc.Metadata.Name}}))
		r.say("two labels: %s", r.podList(&api.PodSandboxFilter{LabelSelector: map[string]string{"of": "critest", "which": "b"}}))
		r.say("label of nobody: %s", r.podList(&api.PodSandboxFilter{LabelSelector: map[string]string{"which": "x"}}))
		r.say("not ready: %s", r.podList(&api.PodSandboxFilter{State: state(api.PodSandboxState_SANDBOX_NOTREADY)}))
		r.say("ready and label: %s", r.podList(&api.PodSandboxFilter{State: state(api.PodSandboxState_SANDBOX_READY), LabelSelector: map[string]string{"which": "b"}}))
		r.say("id and other state: %s", r.podList(&api.PodSandboxFilter{Id: a, State: state(api.PodSandboxState_SANDBOX_NOTREADY)}))
	}, `
id: a
short id: b
no such id: 
label: a
two labels: b
label of nobody: 
not ready: c
ready and label: b
id and other state: 
`},
	{"stopping ends the containers", func(r *run) {
		id, pc := r.pod(nil)
		c := r.create(id, pc, r.shell("trap '' TERM; sleep 1000 & wait; wait"))
		r.start(c)
		_, err := r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: id})
		r.code("stop", err)
		st := r.ended(c)
		r.say("%s %d", st.State, st.ExitCode)
		_, err = r.tryCreate(id, pc, r.shell("true"))
		r.refused("create afterwards", err)
	}, "stop: OK\nCONTAINER_EXITED 137\ncreate afterwards: refused\n"},
	{"starting in a stopped one", func(r *run) {
		id, pc := r.pod(nil)
		c := r.create(id, pc, r.shell("true"))
		_, err := r.StopPodSandbox(r.ctx, &api.StopPodSandboxRequest{PodSandboxId: id})
		r.code("stop", err)
		_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: c})
		r.refused("start", err)
	}, "stop: OK\nstart: refused\n"},
	{"removing a running one", func(r *run) {
		id, pc := r.pod(nil)
		c := r.create(id, pc, r.shell("exec sleep 1000"))
		r.start(c)
		_, err := r.RemovePodSandbox(r.ctx, &api.RemovePodSandboxRequest{PodSandboxId: id})
		r.code("remove", err)
		_, err = r.ContainerStatus(r.ctx, &api.ContainerStatusRequest{ContainerId: c})
		r.code("its container", err)
	}, "remove: OK\nits container: NotFound\n"},
	{"files", func(r *run) {
		id, pc := r.pod(nil)
		r.shIn(id, pc, "cat /etc/resolv.conf; hostname | cut -c1-3; test $(cat /etc/hostname) = $(hostname) && echo same; stat -c %a /etc/resolv.conf /etc/hostname /etc/hosts; stat -c %a /dev/shm; cat /proc/mounts | grep ' /dev/shm ' | cut -d' ' -f3", nil)
	}, "search default.svc.cluster.local\nnameserver 10.97.0.10\noptions ndots:5\npod\nsame\n644\n644\n644\n1777\ntmpfs\n"},
	{"sysctls", func(r *run) {
		id, pc := r.pod(func(c *api.PodSandboxConfig) {
			c.Linux.Sysctls = map[string]string{"net.core.somaxconn": "77", "kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "2000 3000"}
		})
		r.shIn(id, pc, "cd /proc/sys; cat net/core/somaxconn kernel/shm_rmid_forced net/ipv4/ip_local_port_range net/ipv4/ip_unprivileged_port_start", nil)
	}, "77\n1\n2000\t3000\n0\n"},
	{"sysctl of the node", func(r *run) {
		pc := r.podConfig()
		pc.Linux.Sysctls = map[string]string{"vm.swappiness": "1"}
		p, err := r.RunPodSandbox(r.ctx, &api.RunPodSandboxRequest{Config: pc})
		r.refused("run", err)
		if err == nil {
			r.pods = append(r.pods, p.PodSandboxId)
		}
	}, "run: refused\n"},
	{"cgroup", func(r *run) {
		_, pc := r.pod(nil)
		_, err := os.Stat("/sys/fs/cgroup/memory" + pc.Linux.CgroupParent)
		if _, v2 := os.Stat("/sys/fs/cgroup/cgroup.controllers"); v2 == nil {
			_, err = os.Stat("/sys/fs/cgroup" + pc.Linux.CgroupParent)
		}
		r.refused("the parent is there", err)
	}, "the parent is there: done\n"},
}
