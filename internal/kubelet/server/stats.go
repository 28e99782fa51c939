package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"minato.dev/minato/internal/kubelet/machine"
	"minato.dev/minato/internal/kubelet/seen"
)

// summary answers /stats/summary from the runtime's own accounting.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	pods, err := s.podStats(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	out := stats.Summary{Node: s.nodeStats(pods), Pods: pods}
	writeJSON(w, out)
}

func (s *Server) podStats(ctx context.Context) ([]stats.PodStats, error) {
	list, err := s.Runtime.ListPodSandboxStats(ctx, &runtimeapi.ListPodSandboxStatsRequest{})
	if err != nil {
		return nil, fmt.Errorf("the container runtime gives no statistics: %w", err)
	}
	pods := []stats.PodStats{}
	for _, b := range list.Stats {
		l, a := b.Linux, b.Attributes
		if a.GetLabels()[seen.PodUID] == "" {
			continue // no pod, but a container of `minato run`
		}
		p := stats.PodStats{PodRef: stats.PodReference{Name: a.GetLabels()[seen.PodName], Namespace: a.GetLabels()[seen.PodNamespace], UID: a.GetLabels()[seen.PodUID]},
			CPU: cpuStats(l.GetCpu()), Memory: memoryStats(l.GetMemory()), Network: networkStats(l.GetNetwork()), Containers: []stats.ContainerStats{}}
		if pod, ok := s.Host.Pod(p.PodRef.Namespace, p.PodRef.Name, ""); ok && pod.Status.StartTime != nil {
			p.StartTime = *pod.Status.StartTime
		}
		if n := l.GetProcess().GetProcessCount(); n != nil {
			p.ProcessStats = &stats.ProcessStats{ProcessCount: &n.Value}
		}
		for _, c := range l.GetContainers() {
			cs := stats.ContainerStats{Name: c.Attributes.GetMetadata().GetName(), StartTime: p.StartTime, CPU: cpuStats(c.Cpu), Memory: memoryStats(c.Memory)}
			if fs := c.WritableLayer; fs != nil {
				cs.Rootfs = &stats.FsStats{Time: stamp(fs.Timestamp), UsedBytes: value(fs.UsedBytes), InodesUsed: value(fs.InodesUsed)}
			}
			p.Containers = append(p.Containers, cs)
		}
		pods = append(pods, p)
	}
	return pods, nil
}

func value(v *runtimeapi.UInt64Value) *uint64 {
	if v == nil {
		return nil
	}
	n := v.Value
	return &n
}

func stamp(ns int64) metav1.Time { return metav1.NewTime(time.Unix(0, ns)) }

func cpuStats(c *runtimeapi.CpuUsage) *stats.CPUStats {
	if c == nil {
		return nil
	}
	return &stats.CPUStats{Time: stamp(c.Timestamp), UsageNanoCores: value(c.UsageNanoCores), UsageCoreNanoSeconds: value(c.UsageCoreNanoSeconds)}
}

func memoryStats(m *runtimeapi.MemoryUsage) *stats.MemoryStats {
	if m == nil {
		return nil
	}
	return &stats.MemoryStats{Time: stamp(m.Timestamp), AvailableBytes: value(m.AvailableBytes), UsageBytes: value(m.UsageBytes),
		WorkingSetBytes: value(m.WorkingSetBytes), RSSBytes: value(m.RssBytes), PageFaults: value(m.PageFaults), MajorPageFaults: value(m.MajorPageFaults)}
}

func networkStats(n *runtimeapi.NetworkUsage) *stats.NetworkStats {
	if n == nil {
		return nil
	}
	out := &stats.NetworkStats{Time: stamp(n.Timestamp)}
	if d := n.DefaultInterface; d != nil {
		out.InterfaceStats = interfaceStats(d)
	}
	for _, i := range n.Interfaces {
		out.Interfaces = append(out.Interfaces, interfaceStats(i))
	}
	return out
}

func interfaceStats(i *runtimeapi.NetworkInterfaceUsage) stats.InterfaceStats {
	return stats.InterfaceStats{Name: i.Name, RxBytes: value(i.RxBytes), RxErrors: value(i.RxErrors), TxBytes: value(i.TxBytes), TxErrors: value(i.TxErrors)}
}

// nodeStats is the machine's own.
func (s *Server) nodeStats(pods []stats.PodStats) stats.NodeStats {
	now := metav1.Now()
	n := stats.NodeStats{NodeName: s.NodeName, StartTime: metav1.NewTime(machine.Boot())}
	if nanos, ok := machine.CPUTime(); ok {
		n.CPU = &stats.CPUStats{Time: now, UsageCoreNanoSeconds: &nanos}
	}
	if mem, err := machine.Meminfo(); err == nil {
		available := uint64(mem["MemAvailable"])
		usage := uint64(mem["MemTotal"] - mem["MemFree"])
		working := uint64(mem["MemTotal"] - mem["MemAvailable"])
		n.Memory = &stats.MemoryStats{Time: now, AvailableBytes: &available, UsageBytes: &usage, WorkingSetBytes: &working}
	}
	return n
}

// metrics are the kubelet's own, in the names of upstream that dashboards read.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	pods := s.Host.Pods()
	running := 0
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running != nil {
				running++
			}
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	m := printer{w}
	m.one("kubelet_node_name", "gauge", "The node's name. The count is always 1.", fmt.Sprintf("{node=%q}", s.NodeName), 1)
	m.one("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox", "", float64(len(pods)))
	m.one("kubelet_running_containers", "gauge", "Number of containers currently running", `{container_state="running"}`, float64(running))
	m.one("go_goroutines", "gauge", "Number of goroutines that currently exist.", "", float64(runtime.NumGoroutine()))
	m.one("go_memstats_heap_alloc_bytes", "gauge", "Number of heap bytes allocated and currently in use.", "", float64(mem.HeapAlloc))
}

// resourceMetrics are what the metrics server reads.
func (s *Server) resourceMetrics(w http.ResponseWriter, r *http.Request) {
	pods, err := s.podStats(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	node := s.nodeStats(pods)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	m := printer{w}
	m.head("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds")
	each(pods, func(l string, c stats.ContainerStats) {
		if c.CPU != nil && c.CPU.UsageCoreNanoSeconds != nil {
			m.line("container_cpu_usage_seconds_total", l, float64(*c.CPU.UsageCoreNanoSeconds)/1e9)
		}
	})
	m.head("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes")
	each(pods, func(l string, c stats.ContainerStats) {
		if c.Memory != nil && c.Memory.WorkingSetBytes != nil {
			m.line("container_memory_working_set_bytes", l, float64(*c.Memory.WorkingSetBytes))
		}
	})
	if node.CPU != nil {
		m.one("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", "", float64(*node.CPU.UsageCoreNanoSeconds)/1e9)
	}
	if node.Memory != nil {
		m.one("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", "", float64(*node.Memory.WorkingSetBytes))
	}
	m.one("resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise", "", 0)
}

func each(pods []stats.PodStats, f func(labels string, c stats.ContainerStats)) {
	for _, p := range pods {
		for _, c := range p.Containers {
			f(fmt.Sprintf("{container=%q,namespace=%q,pod=%q}", c.Name, p.PodRef.Namespace, p.PodRef.Name), c)
		}
	}
}

// printer writes metrics in the text format.
type printer struct{ w http.ResponseWriter }

func (p printer) head(name, kind, help string) {
	fmt.Fprintf(p.w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p printer) line(name, labels string, v float64) { fmt.Fprintf(p.w, "%s%s %g\n", name, labels, v) }

func (p printer) one(name, kind, help, labels string, v float64) {
	p.head(name, kind, help)
	p.line(name, labels, v)
}
