package control

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tells of the controllers' queues under client-go's names, by controller. A nil *Metrics counts nothing.
type Metrics struct {
	waited, worked *prometheus.HistogramVec
	mu             sync.Mutex
	queues         map[string]*queue
}

// NewMetrics returns metrics of no queue yet. Register them as a prometheus.Collector.
func NewMetrics() *Metrics {
	took := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1e-8, 10, 12)}, []string{"name"})
	}
	return &Metrics{queues: map[string]*queue{},
		waited: took("workqueue_queue_duration_seconds", "How long keys waited in a queue before they were worked on, in seconds."),
		worked: took("workqueue_work_duration_seconds", "How long the work on a key took, in seconds.")}
}

// Run is the package's Run with the queues counted.
func (m *Metrics) Run(ctx context.Context, log *slog.Logger, controllers []Controller) error {
	return runAll(ctx, log, controllers, m)
}

// follow has q counted; the observers may be nil.
func (m *Metrics) follow(name string, q *queue) {
	if m == nil {
		return
	}
	q.waited, q.worked = m.waited.WithLabelValues(name), m.worked.WithLabelValues(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queues[name] = q
}

var (
	depth      = described("workqueue_depth", "Keys that wait in a queue.")
	adds       = described("workqueue_adds_total", "Keys that were put into a queue, ever.")
	retries    = described("workqueue_retries_total", "Keys whose work failed and was tried again, ever.")
	unfinished = described("workqueue_unfinished_work_seconds", "For how long keys are being worked on, taken together, in seconds.")
	longest    = described("workqueue_longest_running_processor_seconds", "For how long the work that began first is going on, in seconds.")
)

func described(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"name"}, nil)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	m.waited.Describe(c)
	m.worked.Describe(c)
	for _, d := range []*prometheus.Desc{depth, adds, retries, unfinished, longest} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.waited.Collect(c)
	m.worked.Collect(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, q := range m.queues {
		s := q.figures(time.Now())
		for _, x := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value float64
		}{
			{depth, prometheus.GaugeValue, float64(s.depth)}, {adds, prometheus.CounterValue, float64(s.adds)}, {retries, prometheus.CounterValue, float64(s.retries)},
			{unfinished, prometheus.GaugeValue, s.unfinished.Seconds()}, {longest, prometheus.GaugeValue, s.longest.Seconds()},
		} {
			c <- prometheus.MustNewConstMetric(x.desc, x.kind, x.value, name)
		}
	}
}

// figures of a queue at one moment.
type figures struct {
	depth               int
	adds, retries       int64
	unfinished, longest time.Duration
}

func (q *queue) figures(now time.Time) figures {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := figures{depth: len(q.ready), adds: q.adds, retries: q.retries}
	for _, since := range q.working {
		f.unfinished += now.Sub(since)
		f.longest = max(f.longest, now.Sub(since))
	}
	return f
}
