package cri

import api "k8s.io/cri-api/pkg/apis/runtime/v1"

// Limits as a container reads them of its own cgroup, whichever version it is.
const (
	readMemory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
	readQuota  = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
	readShares = "cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || echo 512"
	readCPUs   = "cat /sys/fs/cgroup/cpuset/cpuset.cpus 2>/dev/null || cat /sys/fs/cgroup/cpuset.cpus"
)

func resourcesOf(r *api.LinuxContainerResources) func(*api.ContainerConfig) {
	return func(c *api.ContainerConfig) { c.Linux.Resources = r }
}

var resources = []check{
	{"limits", func(r *run) {
		r.sh(readMemory+"; "+readQuota+"; "+readShares+"; "+readCPUs, resourcesOf(&api.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 512, CpusetCpus: "0"}))
	}, "67108864\n20000\n512\n0\n"},
	{"limits in the status", func(r *run) {
		c := r.shell("exec sleep 1000")
		c.Linux.Resources = &api.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 512, OomScoreAdj: 300}
		l := r.status(r.begin(c)).GetResources().GetLinux()
		r.say("%d %d %d %d %d", l.GetMemoryLimitInBytes(), l.GetCpuPeriod(), l.GetCpuQuota(), l.GetCpuShares(), l.GetOomScoreAdj())
	}, "67108864 100000 20000 512 300\n"},
	{"changed while it runs", func(r *run) {
		c := r.shell("exec sleep 1000")
		c.Linux.Resources = &api.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 512}
		id := r.begin(c)
		for _, l := range []*api.LinuxContainerResources{
			{MemoryLimitInBytes: 96 << 20}, // more
			{MemoryLimitInBytes: 32 << 20, CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 1024}, // less, and the processor
		} {
			_, err := r.UpdateContainerResources(r.ctx, &api.UpdateContainerResourcesRequest{ContainerId: id, Linux: l})
			r.code("update", err)
			r.say("%s", r.exec(id, "sh", "-c", readMemory+"; "+readQuota))
			now := r.status(id).GetResources().GetLinux()
			r.say("status %d %d %d", now.GetMemoryLimitInBytes(), now.GetCpuQuota(), now.GetCpuShares())
		}
	}, "update: OK\n100663296\n20000\nstatus 100663296 20000 512\nupdate: OK\n33554432\n50000\nstatus 33554432 50000 1024\n"},
	{"changed before it runs", func(r *run) {
		c := r.shell("exec sleep 1000")
		c.Linux.Resources = &api.LinuxContainerResources{MemoryLimitInBytes: 64 << 20}
		id := r.create(r.sharedID, r.shared, c)
		_, err := r.UpdateContainerResources(r.ctx, &api.UpdateContainerResourcesRequest{ContainerId: id, Linux: &api.LinuxContainerResources{MemoryLimitInBytes: 96 << 20}})
		r.code("update", err)
		r.start(id)
		r.say("%s", r.exec(id, "sh", "-c", readMemory))
	}, "update: OK\n100663296\n"},
	{"statistics of a container", func(r *run) {
		id := r.begin(r.shell("dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; sync; touch /ready; while true; do :; done"))
		r.until("it works", func() bool { return r.exec(id, "ls", "/ready") == "/ready\n" })
		r.until("all is counted", func() bool {
			s, err := r.ContainerStats(r.ctx, &api.ContainerStatsRequest{ContainerId: id})
			r.must("stats", err)
			st := s.Stats
			return st.GetAttributes().GetId() == id && st.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 0 &&
				st.GetMemory().GetWorkingSetBytes().GetValue() > 0 && st.GetMemory().GetUsageBytes().GetValue() > 0 &&
				st.GetWritableLayer().GetUsedBytes().GetValue() >= 3<<20 && st.GetWritableLayer().GetInodesUsed().GetValue() > 0 &&
				st.GetCpu().GetTimestamp() > 0 && st.GetWritableLayer().GetFsId().GetMountpoint() != ""
		})
		s, err := r.ContainerStats(r.ctx, &api.ContainerStatsRequest{ContainerId: id})
		r.must("stats", err)
		r.say("%s %s", s.Stats.Attributes.Labels["of"], s.Stats.Attributes.Annotations["note"])
	}, "critest a container\n"},
	{"statistics of many", func(r *run) {
		pod, pc := r.pod(nil)
		ca, cb := r.shell("exec sleep 1000"), r.shell("exec sleep 1000")
		ca.Labels["which"], cb.Labels["which"] = "a", "b"
		a, b := r.create(pod, pc, ca), r.create(pod, pc, cb)
		r.start(a)
		r.start(b)
		for _, f := range []struct {
			what   string
			filter *api.ContainerStatsFilter
		}{
			{"pod", &api.ContainerStatsFilter{PodSandboxId: pod}}, {"id", &api.ContainerStatsFilter{Id: a}},
			{"label", &api.ContainerStatsFilter{LabelSelector: map[string]string{"which": "b"}}}, {"nobody", &api.ContainerStatsFilter{Id: nowhere}},
		} {
			l, err := r.ListContainerStats(r.ctx, &api.ListContainerStatsRequest{Filter: f.filter})
			r.must("list", err)
			names := map[string]int{}
			for _, s := range l.Stats {
				names[s.Attributes.Labels["which"]]++
			}
			r.say("%s: a %d, b %d", f.what, names["a"], names["b"])
		}
	}, "pod: a 1, b 1\nid: a 1, b 0\nlabel: a 0, b 1\nnobody: a 0, b 0\n"},
	{"statistics of a pod", func(r *run) {
		pod, pc := r.pod(nil)
		id := r.create(pod, pc, r.shell("ping -c 1 127.0.0.1 >/dev/null; while true; do :; done"))
		r.start(id)
		r.until("all is counted", func() bool {
			s, err := r.PodSandboxStats(r.ctx, &api.PodSandboxStatsRequest{PodSandboxId: pod})
			r.must("stats", err)
			l := s.GetStats().GetLinux()
			return s.GetStats().GetAttributes().GetId() == pod && l.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 0 &&
				l.GetMemory().GetWorkingSetBytes().GetValue() > 0 && l.GetProcess().GetProcessCount().GetValue() > 0 &&
				l.GetNetwork().GetDefaultInterface().GetName() == "eth0" && len(l.GetContainers()) == 1
		})
		l, err := r.ListPodSandboxStats(r.ctx, &api.ListPodSandboxStatsRequest{Filter: &api.PodSandboxStatsFilter{LabelSelector: map[string]string{"pod": pc.Metadata.Name}}})
		r.must("list", err)
		r.say("%d, %t", len(l.Stats), l.Stats[0].Attributes.Id == pod)
	}, "1, true\n"},
}
