package health

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// withoutBuildInfo leaves out of a registry that libraries share what ours says itself: theirs names no build.
type withoutBuildInfo struct {
	ours bool
	prometheus.Gatherer
}

// Gather implements prometheus.Gatherer.
func (g withoutBuildInfo) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.Gatherer.Gather()
	if !g.ours {
		return families, err
	}
	own := []string{"kubernetes_build_info", "apiserver_request_total", "apiserver_request_duration_seconds", "apiserver_response_sizes",
		"apiserver_current_inflight_requests", "apiserver_longrunning_requests"}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return slices.Contains(own, f.GetName()) }), err
}
