package daemonset

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/podtemplate"
	"minato.dev/minato/internal/controllers/revision"
)

// revisions returns the set's history and the revision of today's template in it.
func (d *controller) revisions(ctx context.Context, ds *appsv1.DaemonSet, sel labels.Selector, collisions **int32) ([]*appsv1.ControllerRevision, *appsv1.ControllerRevision, error) {
	data, err := revision.Template(&ds.Spec.Template)
	if err != nil {
		return nil, nil, err
	}
	list, err := d.history.Of(ctx, ds, sel)
	if err != nil {
		return nil, nil, err
	}
	name := func() (label, hash string) {
		return appsv1.DefaultDaemonSetUniqueLabelKey, podtemplate.Hash(&ds.Spec.Template, *collisions)
	}
	now, err := d.history.Current(ctx, ds, list, data, ds.Spec.Template.Labels, name, func() {
		var n int32
		if *collisions != nil {
			n = **collisions
		}
		n++
		*collisions = &n
	})
	return list, now, err
}

// trim drops history beyond the limit; what a pod still runs stays.
func (d *controller) trim(ctx context.Context, ds *appsv1.DaemonSet, list []*appsv1.ControllerRevision, mine []*corev1.Pod, hash string) error {
	live := map[string]bool{ds.Name + "-" + hash: true}
	for _, p := range mine {
		live[ds.Name+"-"+p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] = true
	}
	return d.history.Trim(ctx, list, int(*ds.Spec.RevisionHistoryLimit), func(name string) bool { return live[name] })
}

// Failed daemons are replaced after 1 s, doubled at each failure on the same node up to 15 minutes, as upstream does it.
const (
	firstWait = time.Second
	lastWait  = 15 * time.Minute
)

// backoff remembers when failed daemons were replaced.
type backoff struct {
	mu   sync.Mutex
	sets map[control.Key]map[string]failure // by node
}

type failure struct {
	last time.Time
	wait time.Duration
}

func newBackoff() *backoff { return &backoff{sets: map[control.Key]map[string]failure{}} }

// left is how long to wait before the next replacement.
func (b *backoff) left(k control.Key, node string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.sets[k][node]
	return f.wait - now.Sub(f.last)
}

func (b *backoff) count(k control.Key, node string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sets[k] == nil {
		b.sets[k] = map[string]failure{}
	}
	f := b.sets[k][node]
	if now.Sub(f.last) > 2*lastWait {
		f.wait = 0
	}
	b.sets[k][node] = failure{now, max(min(2*f.wait, lastWait), firstWait)}
}

func (b *backoff) forget(k control.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sets, k)
}
