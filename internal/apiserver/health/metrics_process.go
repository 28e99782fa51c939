package health

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// features shows each feature gate and whether it is on.
type features struct{}

var featureEnabled = prometheus.NewDesc("kubernetes_feature_enabled", "Whether a feature is on, with its stage.", []string{"name", "stage"}, nil)

// Describe implements prometheus.Collector.
func (features) Describe(c chan<- *prometheus.Desc) { c <- featureEnabled }

// Collect implements prometheus.Collector.
func (features) Collect(c chan<- prometheus.Metric) {
	gate := utilfeature.DefaultMutableFeatureGate
	for name, spec := range gate.GetAll() {
		on := 0.0
		if gate.Enabled(name) {
			on = 1
		}
		c <- prometheus.MustNewConstMetric(featureEnabled, prometheus.GaugeValue, on, string(name), string(spec.PreRelease))
	}
}

// storeSize asks the store for its size when somebody looks.
type storeSize func() (int64, error)

var storageSize = prometheus.NewDesc("apiserver_storage_size_bytes", "Size of the store's database file, in bytes.", []string{"storage_cluster_id"}, nil)

// Describe implements prometheus.Collector.
func (storeSize) Describe(c chan<- *prometheus.Desc) { c <- storageSize }

// Collect implements prometheus.Collector.
func (f storeSize) Collect(c chan<- prometheus.Metric) {
	if n, err := f(); err == nil { // a store that cannot say has no size
		c <- prometheus.MustNewConstMetric(storageSize, prometheus.GaugeValue, float64(n), "etcd-0")
	}
}

// Measure has /metrics tell the size of the store, in bytes.
func (m *Metrics) Measure(size func() (int64, error)) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(storeSize(size))
}

// HandshakeFailed counts a connection that ended in its TLS handshake.
func (m *Metrics) HandshakeFailed() {
	if m != nil {
		m.handshakes.Inc()
	}
}

// calls counts what the parts of this process ask the API.
type calls struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	known    sync.Map // call to outcome
}

// call is one kind of request: all of it is ours to choose.
type call struct {
	host, method string
	code         int
}

func newCalls() *calls {
	return &calls{requests: counter("rest_client_requests_total", "Requests to the API by parts of this process, by status code, method and host.", "code", "method", "host"),
		took: histogram("rest_client_request_duration_seconds", "How long requests to the API by parts of this process took, in seconds.",
			[]float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60}, "verb", "host")}
}

// Called counts a request of a part of this process to the API at host; code is 0 where there was no answer.
func (m *Metrics) Called(host, method string, code int, took time.Duration) {
	if m == nil {
		return
	}
	at := call{host, method, code}
	o, ok := m.calls.known.Load(at)
	if !ok {
		said := strconv.Itoa(code)
		if code == 0 {
			said = "<error>"
		}
		o, _ = m.calls.known.LoadOrStore(at, outcome{m.calls.requests.WithLabelValues(said, method, host), m.calls.took.WithLabelValues(method, host)})
	}
	o.(outcome).observe(took)
}
