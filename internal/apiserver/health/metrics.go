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

// Request is one finished request, with upstream's label values. Whoever reports it must see to it that no label is a
// client's free choice: each set of labels is kept for ever.
type Request struct {
	Verb        string // GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION, CONNECT, other
	Group       string
	Version     string
	Resource    string
	Subresource string // or, where there is no resource, the path
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
	sli      *prometheus.HistogramVec
	size     *prometheus.HistogramVec
	inflight *prometheus.GaugeVec
	long     *prometheus.GaugeVec
	ended    *prometheus.CounterVec
	readOnly prometheus.Gauge
	mutating prometheus.Gauge
	guards
	stored
	handshakes prometheus.Counter
	calls      *calls

	mu     sync.RWMutex
	series map[Request]*series // by the labels: Bytes and Took are zero
}

// series are the counters of one set of labels, looked up once.
type series struct {
	total           prometheus.Counter
	took, sli, size prometheus.Observer // sli and size may be nil
}

var (
	serviceLabels = []string{"verb", "group", "version", "resource", "subresource", "scope", "component"}
	requestLabels = append([]string{"dry_run"}, serviceLabels...)
	tookBuckets   = []float64{0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60}
)

// NewMetrics returns metrics that have counted nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), series: map[Request]*series{},
		total: counter("apiserver_request_total",
			"Requests by verb, dry run, group, version, resource, scope, component and HTTP status code.", append([]string{"code"}, requestLabels...)...),
		took: histogram("apiserver_request_duration_seconds", "How long requests took, in seconds.", tookBuckets, requestLabels...),
		sli: histogram("apiserver_request_sli_duration_seconds", "How long requests took that were no dry runs, in seconds; this is what service level objectives are about.",
			tookBuckets[2:], serviceLabels...),
		size:     histogram("apiserver_response_sizes", "Sizes of answers to GET and LIST, in bytes.", prometheus.ExponentialBuckets(1000, 10, 7), serviceLabels...),
		inflight: gauge("apiserver_current_inflight_requests", "Requests that are being executed, by kind.", "request_kind"),
		long:     gauge("apiserver_longrunning_requests", "Long-running requests that are being served.", serviceLabels...),
		ended: counter("apiserver_request_terminations_total", "Requests that the server ended before they were done.",
			append([]string{"code"}, serviceLabels...)...),
		guards: newGuards(), stored: newStored(), calls: newCalls(),
		handshakes: prometheus.NewCounter(prometheus.CounterOpts{Name: "apiserver_tls_handshake_errors_total", Help: "Connections that ended in their TLS handshake."}),
	}
	m.readOnly, m.mutating = m.inflight.WithLabelValues("readOnly"), m.inflight.WithLabelValues("mutating")
	build := gauge("kubernetes_build_info", "The build that runs; the value is always 1.",
		"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform")
	i := Info()
	build.WithLabelValues(i.Major, i.Minor, i.GitVersion, i.GitCommit, i.GitTreeState, i.BuildDate, i.GoVersion, i.Compiler, i.Platform).Set(1)
	versions := gauge("version_info", "The version that runs and those that it acts as; the value is always 1.", "binary", "component", "emulation", "min_compat")
	versions.WithLabelValues(release(), "kube", i.Major+"."+i.Minor, i.MinCompatibilityMajor+"."+i.MinCompatibilityMinor).Set(1)
	m.registry.MustRegister(m.total, m.took, m.sli, m.size, m.inflight, m.long, m.ended, build, versions, m.handshakes, m.calls.requests, m.calls.took, features{})
	m.registry.MustRegister(m.guards.all()...)
	m.registry.MustRegister(m.stored.all()...)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Register adds another part's metrics to /metrics.
func (m *Metrics) Register(c prometheus.Collector) error { return m.registry.Register(c) }

// handler serves these metrics and those that libraries have put into the process's registry.
func (m *Metrics) handler() http.Handler {
	all := legacyregistry.DefaultGatherer
	if m != nil {
		all = ownFirst{m.registry, all}
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// service are the values of serviceLabels.
func (r *Request) service() []string {
	return []string{r.Verb, r.Group, r.Version, r.Resource, r.Subresource, r.Scope, r.Component}
}

// Observe counts a finished request.
func (m *Metrics) Observe(r Request) {
	if m == nil {
		return
	}
	s := m.seriesOf(r)
	s.total.Inc()
	took := r.Took.Seconds()
	s.took.Observe(took)
	if s.sli != nil {
		s.sli.Observe(took)
	}
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
	labels := r.service()
	dry := append([]string{r.DryRun}, labels...)
	s = &series{total: m.total.WithLabelValues(append([]string{strconv.Itoa(r.Code)}, dry...)...), took: m.took.WithLabelValues(dry...)}
	if r.DryRun == "" {
		s.sli = m.sli.WithLabelValues(labels...)
	}
	if r.Verb == "GET" || r.Verb == "LIST" {
		s.size = m.size.WithLabelValues(labels...)
	}
	m.mu.Lock()
	m.series[r] = s
	m.mu.Unlock()
	return s
}

// Begin counts a running request until done is called.
func (m *Metrics) Begin(mutating bool) (done func()) {
	if m == nil {
		return func() {}
	}
	g := m.readOnly
	if mutating {
		g = m.mutating
	}
	g.Inc()
	return g.Dec
}

// BeginLong is Begin for a watch, an exec or another request that runs as long as its client wants.
func (m *Metrics) BeginLong(r Request) (done func()) {
	if m == nil {
		return func() {}
	}
	g := m.long.WithLabelValues(r.service()...)
	g.Inc()
	return g.Dec
}

// Terminated counts a request that the server has ended: its time was over (504), or it panicked (500).
func (m *Metrics) Terminated(r Request) {
	if m != nil {
		m.ended.WithLabelValues(append([]string{strconv.Itoa(r.Code)}, r.service()...)...).Inc()
	}
}
