package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/status"
)

// The status waits only for a container that was ended because its spec changed, and not for ever.
func TestReplacing(t *testing.T) {
	c := corev1.Container{Name: "main", Image: "new"}
	ended := time.Now()
	exited := func(hash string) seen.Container {
		return seen.Container{ID: "1", Name: "main", State: seen.Exited, Hash: hash, Created: ended.Add(-time.Hour), Finished: ended}
	}
	created := seen.Container{ID: "2", Name: "main", State: seen.Created, Attempt: 1, Hash: seen.Hash(&c), Created: ended}
	running := created
	running.State = seen.Running
	for _, x := range []struct {
		what   string
		seen   []seen.Container
		change func(w *worker, p *decide.Plan)
		stop   *decide.Stop
		want   bool
	}{
		{"ended as its spec changed", []seen.Container{exited("old")}, nil, nil, true},
		{"the next is created", []seen.Container{created, exited("old")}, nil, nil, true},
		{"the next runs", []seen.Container{running, exited("old")}, nil, nil, false},
		{"ended by itself", []seen.Container{exited(seen.Hash(&c))}, nil, nil, false},
		{"ended for a resize", []seen.Container{exited(seen.Hash(&c))}, func(w *worker, _ *decide.Plan) { w.again = map[string]bool{"1": true} }, nil, true},
		{"its image is missing", []seen.Container{exited("old")}, func(w *worker, _ *decide.Plan) { w.waiting = map[string]status.Waiting{"main": {}} }, nil, false},
		{"it backs off", []seen.Container{exited("old")}, func(_ *worker, p *decide.Plan) { p.BackingOff = map[string]decide.Wait{"main": {}} }, nil, false},
		{"the pod ends", []seen.Container{exited("old")}, nil, &decide.Stop{}, false},
		{"never started", nil, nil, nil, false},
	} {
		w := &worker{pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}, seen: seen.Pod{Containers: x.seen}}
		plan := decide.Plan{}
		if x.change != nil {
			x.change(w, &plan)
		}
		until := w.replacing(plan, x.stop)
		if until.IsZero() == x.want || x.want && !until.Equal(ended.Add(replaceTime)) {
			t.Errorf("%s: until %v", x.what, until)
		}
	}
}
