package control

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsTellOfQueues: what a controller did and what waits is on the page, by its name.
func TestMetricsTellOfQueues(t *testing.T) {
	m, registry := NewMetrics(), prometheus.NewRegistry()
	registry.MustRegister(m)
	ctx, cancel := context.WithCancel(t.Context())
	done, hold := make(chan struct{}), make(chan struct{})
	failed := false
	c := Controller{Name: "some", Sources: []Source{Custom(func(context.Context) error { return nil }, func(add func(Key)) { add(Key{Name: "a"}) })},
		Reconcile: func(context.Context, Key) (Result, error) {
			if !failed {
				failed = true
				return Result{}, errors.New("once")
			}
			close(done)
			<-hold
			return Result{}, nil
		}}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, slog.New(slog.DiscardHandler), []Controller{c}) }()
	<-done
	got := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		x := f.Metric[0]
		if len(f.Metric) != 1 || x.Label[0].GetName() != "name" || x.Label[0].GetValue() != "some" {
			t.Errorf("%s: %v", f.GetName(), f.Metric)
		}
		switch {
		case x.Histogram != nil:
			got[f.GetName()] = float64(x.Histogram.GetSampleCount())
		case x.Counter != nil:
			got[f.GetName()] = x.Counter.GetValue()
		default:
			got[f.GetName()] = x.Gauge.GetValue()
		}
	}
	close(hold)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for name, want := range map[string]float64{"workqueue_adds_total": 2, "workqueue_retries_total": 1, "workqueue_depth": 0,
		"workqueue_queue_duration_seconds": 2, "workqueue_work_duration_seconds": 1} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["workqueue_unfinished_work_seconds"] <= 0 || got["workqueue_longest_running_processor_seconds"] <= 0 {
		t.Errorf("nothing is being worked on: %v", got)
	}
}
