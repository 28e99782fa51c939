package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/run"
)

// play runs one probe whose n-th answer is answers[n] (the last repeats) for d and returns when it asked, in seconds
// from the start, and the verdict.
func play(t *testing.T, kind Kind, spec corev1.Probe, answers string, d time.Duration) (asked []float64, pass, known bool) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		p := New(func(context.Context, Spot, *corev1.Probe) (bool, string, error) {
			i := min(len(asked), len(answers)-1)
			asked = append(asked, time.Since(began).Seconds())
			return answers[i] == '+', "", nil
		}, func(Target, string, error) {})
		s := run.NewScope(ctx)
		s.Go("prober", p.Run)
		key := Key{Pod: "u", Container: "c", Kind: kind}
		p.Set("u", []Target{{Key: key, Spec: &spec, Started: began}}, func() {})
		<-time.After(d) // the bubble's clock
		synctest.Wait()
		pass, known = p.Passing(key)
		p.Set("u", nil, nil)
		if len(p.probes)+p.due.Len() != 0 {
			t.Error("a probe outlives its pod")
		}
		cancel()
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
	})
	return asked, pass, known
}

func TestSchedules(t *testing.T) {
	spec := corev1.Probe{PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
	late := spec
	late.InitialDelaySeconds = 5
	twice := spec
	twice.SuccessThreshold = 2
	for name, c := range map[string]struct {
		kind        Kind
		spec        corev1.Probe
		answers     string
		after       time.Duration
		asked       int
		pass, known bool
	}{
		"ready at once":                   {Readiness, spec, "+", time.Second, 1, true, true},
		"not ready before the delay":      {Readiness, late, "+", 4 * time.Second, 0, false, false},
		"ready after the delay":           {Readiness, late, "+", 6 * time.Second, 1, true, true},
		"ready soon after the start":      {Readiness, spec, "--+", time.Second, 3, true, true},
		"two successes":                   {Readiness, twice, "+", time.Second, 5, true, true},
		"stays ready for two failures":    {Readiness, spec, "+--", 25 * time.Second, 3, true, true},
		"unready after three":             {Readiness, spec, "+---", 35 * time.Second, 4, false, true},
		"alive until told otherwise":      {Liveness, spec, "--", 25 * time.Second, 2, false, false},
		"dead after three, asked no more": {Liveness, spec, "-", 100 * time.Second, 3, false, true},
		"started, asked no more":          {Startup, spec, "-+", 100 * time.Second, 2, true, true},
		"startup gives up after three":    {Startup, spec, "-", 100 * time.Second, 3, false, true},
		"a success between counts afresh": {Liveness, spec, "--+--", 55 * time.Second, 5, true, true},
	} {
		asked, pass, known := play(t, c.kind, c.spec, c.answers, c.after)
		if len(asked) < min(c.asked, 1) || name != "two successes" && len(asked) != c.asked || pass != c.pass || known != c.known {
			t.Errorf("%s: asked at %v, pass %v, known %v", name, asked, pass, known)
		}
	}
}
