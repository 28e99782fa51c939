package health

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Request is one finished request, with upstream's label values.
type Request struct {
	Verb        string // GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION, CONNECT
	Group       string
	Version     string
	Resource    string
	Subresource string
	Scope       string // "resource", "namespace", "cluster" or ""
	Component   string // "apiserver"
	DryRun      string
	Code        int
	Bytes       int // written to the client
	Took        time.Duration
}

// Metrics counts requests under upstream's names. A nil *Metrics counts nothing. It has a registry of its own, so that
// a process may have several.
type Metrics struct {
	registry *prometheus.Registry
	total    *prometheus.CounterVec
	took     *prometheus.HistogramVec
	size     *prometheus.HistogramVec
	inflight *prometheus.GaugeVec
	long     *prometheus.GaugeVec

	mu     sync.RWMutex
	series map[Request]*series // by the labels: Bytes and Took are zero
}

// series are the counters of one set of labels, looked up once.
type series struct {
	total      prometheus.Counter
	took, size prometheus.Observer
}

var (
	requestLabels = []string{"verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"}
	sizeLabels    = []string{"verb", "group", "version", "resource", "subresource", "scope", "component"}
	tookBuckets   = []float64{0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60}
)

// NewMetrics returns metrics that have counted nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), series: map[Request]*series{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "apiserver_request_total",
			Help: "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code."},
			append(requestLabels, "code")),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_request_duration_seconds",
			Help:    "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
			Buckets: tookBuckets}, requestLabels),
		size: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_response_sizes",
			Help:    "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
			Buckets: prometheus.ExponentialBuckets(1000, 10, 7)}, sizeLabels),
		inflight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "apiserver_current_inflight_requests",
			Help: "Requests that are being executed, by kind."}, []string{"request_kind"}),
		long: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "apiserver_longrunning_requests",
			Help: "Gauge of all active long-running apiserver requests by verb."}, []string{"verb"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubernetes_build_info", Help: "The build that runs; the value is always 1."},
		[]string{"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform"})
	i := Info()
	build.WithLabelValues(i.Major, i.Minor, i.GitVersion, i.GitCommit, i.GitTreeState, i.BuildDate, i.GoVersion, i.Compiler, i.Platform).Set(1)
	m.registry.MustRegister(m.total, m.took, m.size, m.inflight, m.long, build)
	return m
}

// Register adds another part's metrics to /metrics.
func (m *Metrics) Register(c prometheus.Collector) error { return m.registry.Register(c) }

// handler serves these metrics and those that libraries have put into the process's registry.
func (m *Metrics) handler() http.Handler {
	all := prometheus.Gatherers{}
	if m != nil {
		all = append(all, m.registry)
	}
	all = append(all, withoutBuildInfo{m != nil, legacyregistry.DefaultGatherer})
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Observe counts a finished request.
func (m *Metrics) Observe(r Request) {
	if m == nil {
		return
	}
	s := m.seriesOf(r)
	s.total.Inc()
	s.took.Observe(r.Took.Seconds())
	if s.size != nil {
		s.size.Observe(float64(r.Bytes))
	}
}

func (m *Metrics) seriesOf(r Request) *series {
	r.Bytes, r.Took = 0, 0
	m.mu.RLock()
	s := m.series[r]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	s = &series{
		total: m.total.WithLabelValues(r.Verb, r.DryRun, r.Group, r.Version, r.Resource, r.Subresource, r.Scope, r.Component, strconv.Itoa(r.Code)),
		took:  m.took.WithLabelValues(r.Verb, r.DryRun, r.Group, r.Version, r.Resource, r.Subresource, r.Scope, r.Component),
	}
	if r.Verb == "GET" || r.Verb == "LIST" {
		s.size = m.size.WithLabelValues(r.Verb, r.Group, r.Version, r.Resource, r.Subresource, r.Scope, r.Component)
	}
	m.mu.Lock()
	m.series[r] = s
	m.mu.Unlock()
	return s
}

// Begin counts a running request until done is called; a watch or exec is long-running.
func (m *Metrics) Begin(verb string, mutating, longRunning bool) (done func()) {
	if m == nil {
		return func() {}
	}
	g := m.long.WithLabelValues(verb)
	if !longRunning {
		kind := "readOnly"
		if mutating {
			kind = "mutating"
		}
		g = m.inflight.WithLabelValues(kind)
	}
	g.Inc()
	return g.Dec
}
