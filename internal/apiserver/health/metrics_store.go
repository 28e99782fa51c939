package health

import (
	"math/bits"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stored counts what the server asks of its store.
type stored struct {
	writes   *prometheus.CounterVec
	failed   *prometheus.CounterVec
	writesIn *prometheus.HistogramVec

	writesMu sync.RWMutex
	write    map[write]outcome
}

// write is one kind of write: create, update or delete of a resource.
type write struct{ operation, group, resource string }

func newStored() stored {
	labels := []string{"operation", "group", "resource"}
	return stored{write: map[write]outcome{},
		writes:   counter("etcd_requests_total", "Requests to etcd, by operation and resource.", labels...),
		failed:   counter("etcd_request_errors_total", "Requests to etcd that failed, by operation and resource.", labels...),
		writesIn: histogram("etcd_request_duration_seconds", "How long etcd took, in seconds, by operation and resource.", tookBuckets, labels...)}
}

func (s *stored) all() []prometheus.Collector {
	return []prometheus.Collector{s.writes, s.failed, s.writesIn}
}

// Stored counts one write to the store: create, update or delete.
func (m *Metrics) Stored(operation, group, resource string, took time.Duration, err error) {
	if m == nil {
		return
	}
	at := write{operation, group, resource}
	m.writesMu.RLock()
	o, ok := m.write[at]
	m.writesMu.RUnlock()
	if !ok {
		o = outcome{m.writes.WithLabelValues(operation, group, resource), m.writesIn.WithLabelValues(operation, group, resource)}
		m.writesMu.Lock()
		m.write[at] = o
		m.writesMu.Unlock()
	}
	o.observe(took)
	if err != nil {
		m.failed.WithLabelValues(operation, group, resource).Inc()
	}
}

// A Stock is what a server holds of one resource in one version, and what it has told of it.
type Stock struct {
	Group, Version, Resource string
	Stored                   bool // this version's figures are the resource's
	Objects                  int
	Revision                 int64
	Sent                     int64  // watch events over connections
	SentBytes                int64  // their bytes
	Sizes                    Sizes  // and how many were up to which size
	Ended                    int64  // watchers that were too slow
	Deprecated               bool   // somebody has asked for this version, which is deprecated
	Removed                  string // release that has it no more, "" where there is none yet
}

// Sizes counts events by their size: up to 1 KiB, 2 KiB and so on to 128 KiB, and larger.
type Sizes [sizeClasses + 1]int64

const (
	sizeClasses   = 8
	smallestClass = 1 << 10
)

// SizeClass is the place in Sizes of an event of n bytes.
func SizeClass(n int) int { return min(bits.Len(uint(max(n-1, 0)/smallestClass)), sizeClasses) }

// cumulated are the buckets of a histogram, and the count of all.
func (s *Sizes) cumulated() (buckets map[float64]uint64, all uint64) {
	buckets = make(map[float64]uint64, sizeClasses)
	for i := range sizeClasses {
		all += uint64(s[i])
		buckets[float64(int(smallestClass)<<i)] = all
	}
	return buckets, all + uint64(s[sizeClasses])
}

// Follow has /metrics ask stocks, each time somebody looks.
func (m *Metrics) Follow(stocks func() []Stock) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(follower(stocks))
}

type follower func() []Stock

var (
	objects    = prometheus.NewDesc("apiserver_resource_objects", "Objects that are stored, by resource.", []string{"group", "resource"}, nil)
	revision   = prometheus.NewDesc("apiserver_watch_cache_resource_version", "The revision that the watch cache has come to, by resource.", []string{"group", "resource"}, nil)
	sent       = prometheus.NewDesc("apiserver_watch_events_total", "Events sent to watchers, by resource and version.", []string{"group", "version", "resource"}, nil)
	sizes      = prometheus.NewDesc("apiserver_watch_events_sizes", "Sizes of events sent to watchers, in bytes, by resource and version.", []string{"group", "version", "resource"}, nil)
	ended      = prometheus.NewDesc("apiserver_terminated_watchers_total", "Watchers that were ended because they were too slow, by resource.", []string{"group", "resource"}, nil)
	deprecated = prometheus.NewDesc("apiserver_requested_deprecated_apis", "Deprecated versions that somebody has asked for.", []string{"group", "version", "resource", "subresource", "removed_release"}, nil)
)

// Describe implements prometheus.Collector.
func (follower) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{objects, revision, sent, sizes, ended, deprecated} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (f follower) Collect(c chan<- prometheus.Metric) {
	for _, s := range f() {
		if s.Stored {
			c <- prometheus.MustNewConstMetric(objects, prometheus.GaugeValue, float64(s.Objects), s.Group, s.Resource)
			c <- prometheus.MustNewConstMetric(revision, prometheus.GaugeValue, float64(s.Revision), s.Group, s.Resource)
		}
		if s.Sent > 0 {
			c <- prometheus.MustNewConstMetric(sent, prometheus.CounterValue, float64(s.Sent), s.Group, s.Version, s.Resource)
			buckets, all := s.Sizes.cumulated()
			c <- prometheus.MustNewConstHistogram(sizes, all, float64(s.SentBytes), buckets, s.Group, s.Version, s.Resource)
		}
		if s.Ended > 0 {
			c <- prometheus.MustNewConstMetric(ended, prometheus.CounterValue, float64(s.Ended), s.Group, s.Resource)
		}
		if s.Deprecated {
			c <- prometheus.MustNewConstMetric(deprecated, prometheus.GaugeValue, 1, s.Group, s.Version, s.Resource, "", s.Removed)
		}
	}
}
