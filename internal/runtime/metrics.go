package runtime

import (
	"context"
	"time"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// metric is one number that a pod or container shows under cAdvisor's name.
type metric struct {
	name, help string
	kind       api.MetricType
	read       func(*api.CpuUsage, *api.MemoryUsage) *api.UInt64Value
}

// metrics are the ones that dashboards and autoscalers read. Values are whole numbers in the unit of the name, so CPU
// time is rounded down to seconds.
var metrics = []metric{
	{"container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", api.MetricType_COUNTER,
		func(c *api.CpuUsage, _ *api.MemoryUsage) *api.UInt64Value {
			return number(c.GetUsageCoreNanoSeconds().GetValue() / uint64(time.Second))
		}},
	{"container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", api.MetricType_GAUGE,
		func(_ *api.CpuUsage, m *api.MemoryUsage) *api.UInt64Value { return m.GetUsageBytes() }},
	{"container_memory_working_set_bytes", "Current working set in bytes.", api.MetricType_GAUGE,
		func(_ *api.CpuUsage, m *api.MemoryUsage) *api.UInt64Value { return m.GetWorkingSetBytes() }},
	{"container_memory_rss", "Size of RSS in bytes.", api.MetricType_GAUGE,
		func(_ *api.CpuUsage, m *api.MemoryUsage) *api.UInt64Value { return m.GetRssBytes() }},
	{"container_memory_failures_total", "Cumulative count of memory allocation failures.", api.MetricType_COUNTER,
		func(_ *api.CpuUsage, m *api.MemoryUsage) *api.UInt64Value { return m.GetPageFaults() }},
}

// ListMetricDescriptors names the metrics; none has labels of its own beyond those of its pod and container.
func (s *Server) ListMetricDescriptors(context.Context, *api.ListMetricDescriptorsRequest) (*api.ListMetricDescriptorsResponse, error) {
	resp := &api.ListMetricDescriptorsResponse{}
	for _, m := range metrics {
		resp.Descriptors = append(resp.Descriptors, &api.MetricDescriptor{Name: m.name, Help: m.help})
	}
	return resp, nil
}

// ListPodSandboxMetrics returns the metrics of the ready pods.
func (s *Server) ListPodSandboxMetrics(ctx context.Context, _ *api.ListPodSandboxMetricsRequest) (*api.ListPodSandboxMetricsResponse, error) {
	all, err := s.podMetrics(ctx)
	return &api.ListPodSandboxMetricsResponse{PodMetrics: all}, err
}

// StreamPodSandboxMetrics is ListPodSandboxMetrics in pieces.
func (s *Server) StreamPodSandboxMetrics(_ *api.StreamPodSandboxMetricsRequest, st grpc.ServerStreamingServer[api.StreamPodSandboxMetricsResponse]) error {
	all, err := s.podMetrics(st.Context())
	if err != nil {
		return err
	}
	return inPieces(all, func(part []*api.PodSandboxMetrics) error {
		return st.Send(&api.StreamPodSandboxMetricsResponse{PodSandboxMetrics: part})
	})
}

func (s *Server) podMetrics(ctx context.Context) ([]*api.PodSandboxMetrics, error) {
	pods, err := s.listPodStats(ctx, nil)
	if err != nil {
		return nil, err
	}
	var out []*api.PodSandboxMetrics
	for _, p := range pods {
		m := &api.PodSandboxMetrics{PodSandboxId: p.GetAttributes().GetId(), Metrics: readMetrics(p.GetLinux().GetCpu(), p.GetLinux().GetMemory())}
		for _, c := range p.GetLinux().GetContainers() {
			m.ContainerMetrics = append(m.ContainerMetrics, &api.ContainerMetrics{ContainerId: c.GetAttributes().GetId(), Metrics: readMetrics(c.GetCpu(), c.GetMemory())})
		}
		out = append(out, m)
	}
	return out, nil
}

func readMetrics(c *api.CpuUsage, m *api.MemoryUsage) []*api.Metric {
	if c == nil || m == nil {
		return nil
	}
	var out []*api.Metric
	for _, d := range metrics {
		out = append(out, &api.Metric{Name: d.name, MetricType: d.kind, Value: d.read(c, m)})
	}
	return out
}
