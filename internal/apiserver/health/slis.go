package health

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// slisPatience bounds all checks of one look at /metrics/slis.
const slisPatience = 10 * time.Second

// slis shows each check as a metric: the gauge is what it says now, the counter how often which answer was given here and
// at the paths of health. Checks run when somebody looks, and never else.
type slis struct {
	sets  []checkSet
	now   *prometheus.GaugeVec
	times *prometheus.CounterVec
	http  http.Handler
}

// A checkSet is the checks of one of /healthz, /livez and /readyz.
type checkSet struct {
	name   string
	checks []Check
}

func newSLIs() *slis {
	s := &slis{now: gauge("kubernetes_healthcheck", "What a check says now: 1 all is well, 0 it failed.", "name", "type"),
		times: counter("kubernetes_healthchecks_total", "Answers of checks, by status.", "name", "status", "type")}
	r := prometheus.NewRegistry()
	r.MustRegister(s.now, s.times)
	s.http = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return s
}

// ServeHTTP runs all checks and shows what they said.
func (s *slis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), slisPatience)
	defer cancel()
	for _, set := range s.sets {
		for _, c := range set.checks {
			s.note(set.name, c.Name, c.Check(ctx))
		}
	}
	s.http.ServeHTTP(w, r)
}

// note counts one answer of a check.
func (s *slis) note(set, check string, err error) {
	status, value := "success", 1.0
	if err != nil {
		status, value = "error", 0
	}
	s.now.WithLabelValues(check, set).Set(value)
	s.times.WithLabelValues(check, status, set).Inc()
}
