package health

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// guards count what stands before a request: who it is, whether they may, and admission.
type guards struct {
	authenticated map[string]outcome // by result
	authorized    map[string]outcome
	expiry        prometheus.Histogram
	users         *prometheus.CounterVec
	admission     *prometheus.HistogramVec
	known         *sync.Map // what has been looked up: users by name, steps of admission by step
	vecs          []prometheus.Collector
}

// A step is one of admission.
type step struct {
	kind, operation string
	rejected        bool
}

// An outcome is how often a guard said one thing, and after how long.
type outcome struct {
	times prometheus.Counter
	took  prometheus.Observer
}

func newGuards() guards {
	quick := prometheus.ExponentialBuckets(0.001, 2, 15)
	asked, askedFor := counter("authentication_attempts", "Attempts to find out who asks, by result.", "result"),
		histogram("authentication_duration_seconds", "How long it took to find out who asks, in seconds.", quick, "result")
	judged, judgedFor := counter("authorization_attempts_total", "Questions whether somebody may, by result.", "result"),
		histogram("authorization_duration_seconds", "How long it took to know whether somebody may, in seconds.", quick, "result")
	g := guards{authenticated: map[string]outcome{}, authorized: map[string]outcome{}, known: new(sync.Map),
		users: counter("authenticated_user_requests", "Requests of users who are known, by user; all but a few are other.", "username"),
		expiry: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "apiserver_client_certificate_expiration_seconds",
			Help:    "How long the certificates that clients show will still be valid, in seconds.",
			Buckets: []float64{0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000}}),
		admission: histogram("apiserver_admission_step_admission_duration_seconds", "How long a step of admission took, in seconds.",
			[]float64{0.005, 0.025, 0.1, 0.5, 1, 2.5}, "type", "operation", "rejected"),
	}
	for _, result := range []string{"success", "failure", "error"} {
		g.authenticated[result] = outcome{asked.WithLabelValues(result), askedFor.WithLabelValues(result)}
	}
	for _, result := range []string{"allowed", "denied", "no-opinion", "error"} {
		g.authorized[result] = outcome{judged.WithLabelValues(result), judgedFor.WithLabelValues(result)}
	}
	g.vecs = []prometheus.Collector{asked, askedFor, judged, judgedFor, g.expiry, g.users, g.admission}
	return g
}

func (g *guards) all() []prometheus.Collector { return g.vecs }

func (o outcome) observe(took time.Duration) {
	if o.times != nil {
		o.times.Inc()
		o.took.Observe(took.Seconds())
	}
}

// named is how the metric names a user: as upstream does, a few by name and none that a client could choose.
func named(user string) string {
	switch user {
	case "admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default":
		return user
	}
	if strings.Contains(user, "@") {
		return "email_id"
	}
	return "other"
}

// Authenticated counts one attempt: result is success, failure or error; user is "" but for success.
func (m *Metrics) Authenticated(result, user string, took time.Duration) {
	if m == nil {
		return
	}
	m.authenticated[result].observe(took)
	if user != "" {
		name := named(user)
		c, ok := m.known.Load(name)
		if !ok {
			c, _ = m.known.LoadOrStore(name, m.users.WithLabelValues(name))
		}
		c.(prometheus.Counter).Inc()
	}
}

// Certificate counts a client's certificate that is valid until notAfter.
func (m *Metrics) Certificate(notAfter time.Time) {
	if m != nil {
		m.expiry.Observe(time.Until(notAfter).Seconds())
	}
}

// Authorized counts one question: result is allowed, denied, no-opinion or error.
func (m *Metrics) Authorized(result string, took time.Duration) {
	if m != nil {
		m.authorized[result].observe(took)
	}
}

// Admitted counts one step of admission: kind is admit or validate.
func (m *Metrics) Admitted(kind, operation string, rejected bool, took time.Duration) {
	if m == nil {
		return
	}
	at := step{kind, operation, rejected}
	o, ok := m.known.Load(at)
	if !ok {
		o, _ = m.known.LoadOrStore(at, m.admission.WithLabelValues(kind, operation, strconv.FormatBool(rejected)))
	}
	o.(prometheus.Observer).Observe(took.Seconds())
}
