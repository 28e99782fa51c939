// Package probe runs the liveness, readiness and startup probes of a node's containers.
//
// Pod workers tell a Prober with Set which probes a pod wants now and read verdicts with Passing; changed wakes the
// worker when a verdict turns. One goroutine with one timer holds all schedules; only a probe that is due costs
// anything. All methods are safe for concurrent use. Tests run in a testing/synctest bubble with a checker of their own.
package probe

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/run/heap"
)

// Kind is which of a container's probes it is.
type Kind string

// The kinds, as events name them.
const (
	Liveness  Kind = "Liveness"
	Readiness Kind = "Readiness"
	Startup   Kind = "Startup"
)

// Key names one probe of one attempt of a container.
type Key struct {
	Pod       types.UID
	Container string // its id
	Kind      Kind
}

// Target is what a probe asks.
type Target struct {
	Key
	Spec    *corev1.Probe
	Spot    Spot
	Started time.Time // when the container started
}

// Check runs one probe once. ok false is a failure, err one that could not even ask.
type Check func(ctx context.Context, s Spot, p *corev1.Probe) (ok bool, output string, err error)

// Prober runs probes.
type Prober struct {
	check  Check
	failed func(t Target, output string, err error) // told each failure, for the event
	wake   chan struct{}

	mu     sync.Mutex
	probes map[Key]*probe
	due    heap.Heap[*probe]
}

// probe is one running schedule. Its state machine: initial -> (threshold of equal outcomes) -> passing <-> failing;
// liveness and startup stay failing until the container is replaced.
type probe struct {
	Target
	changed func()
	next    time.Time
	index   int // in the schedule; -1 while it runs or is over
	known   bool
	pass    bool
	streak  int32
	last    bool
	gone    bool
}

// New returns a Prober; Run must be called.
func New(check Check, failed func(t Target, output string, err error)) *Prober {
	return &Prober{check: check, failed: failed, wake: make(chan struct{}, 1), probes: map[Key]*probe{}, due: heap.New((*probe).before, (*probe).place)}
}

// Set makes targets the probes of the pod: new ones begin, those not named end, others go on as they are. changed is
// called, and must not block, when the verdict of one of them turns.
func (p *Prober) Set(pod types.UID, targets []Target, changed func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want, started := map[Key]bool{}, false
	for _, t := range targets {
		want[t.Key] = true
		if old := p.probes[t.Key]; old != nil {
			old.Spot = t.Spot
			continue // it goes on as it is
		}
		pr := &probe{Target: t, changed: changed, index: -1, next: first(t, time.Now())}
		p.probes[t.Key] = pr
		p.due.Push(pr)
		started = true
	}
	for k, pr := range p.probes {
		if k.Pod == pod && !want[k] {
			p.end(pr)
		}
	}
	if started {
		p.signal()
	}
}

// first is when a probe begins: after its initial delay, at once where it has none; liveness then after one period, so
// that a program that still starts is not condemned. A container that started long ago (the kubelet was restarted) is
// asked within one period.
func first(t Target, now time.Time) time.Time {
	begin := t.Started.Add(time.Duration(t.Spec.InitialDelaySeconds) * time.Second)
	if t.Kind == Liveness && t.Spec.InitialDelaySeconds == 0 {
		begin = begin.Add(period(t.Spec))
	}
	if begin.Before(now) {
		begin = now
		if now.Sub(t.Started) > 10*time.Second {
			begin = now.Add(rand.N(period(t.Spec)))
		}
	}
	return begin
}

func period(p *corev1.Probe) time.Duration {
	return max(time.Duration(p.PeriodSeconds)*time.Second, time.Second)
}

func (p *Prober) end(pr *probe) {
	pr.gone = true
	delete(p.probes, pr.Key)
	if pr.index >= 0 {
		p.due.Remove(pr)
	}
}

// Passing returns the verdict; known is false until the thresholds have been met once.
func (p *Prober) Passing(k Key) (pass, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.probes[k]
	if pr == nil {
		return false, false
	}
	return pr.pass, pr.known
}

func (p *Prober) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run holds the schedules until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	return run.With(ctx, func(s *run.Scope) error {
		timer := time.NewTimer(time.Hour)
		defer timer.Stop()
		for {
			wait := p.start(s)
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-p.wake:
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// start starts the probes that are due and returns how long nothing else is.
func (p *Prober) start(s *run.Scope) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for p.due.Len() > 0 {
		pr := p.due.First()
		if d := pr.next.Sub(now); d > 0 {
			return d
		}
		p.due.Pop()
		spot := pr.Spot // Set may move it meanwhile
		s.Go("probe", func(ctx context.Context) error {
			p.once(ctx, pr, spot)
			return nil
		})
	}
	return time.Hour
}

// once runs one probe and schedules its next time.
func (p *Prober) once(ctx context.Context, pr *probe, spot Spot) {
	timeout := max(time.Duration(pr.Spec.TimeoutSeconds)*time.Second, time.Second)
	bounded, cancel := context.WithTimeout(ctx, timeout)
	ok, output, err := p.check(bounded, spot, pr.Spec)
	cancel()
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	turned := !pr.gone && pr.note(ok && err == nil)
	// The early questions to a program that still starts are ours, not the pod's author's: their failure is no event.
	early := pr.Kind == Readiness && !pr.pass && time.Since(pr.Started) < period(pr.Spec)
	gone, target := pr.gone, pr.Target
	if !gone {
		p.again(pr)
	}
	p.mu.Unlock()
	if !ok && !gone && !early {
		p.failed(target, output, err)
	}
	if turned {
		pr.changed()
	}
	p.signal()
}

// again sets the next time. A readiness probe that has not passed yet is asked again soon at first, so that a container
// that needs a moment does not wait a whole period.
func (p *Prober) again(pr *probe) {
	now := time.Now()
	d := period(pr.Spec)
	if pr.over() {
		return
	}
	if !pr.pass && pr.Kind != Liveness && now.Sub(pr.Started) < 10*time.Second {
		d = min(d, max(now.Sub(pr.Started)/2, 50*time.Millisecond))
		if pr.Kind == Startup {
			d = period(pr.Spec)
		}
	}
	pr.next = now.Add(d)
	p.due.Push(pr)
}

// over says that the probe has nothing more to tell: startup has passed, or the container is condemned.
func (pr *probe) over() bool {
	return pr.known && (pr.Kind == Startup || pr.Kind == Liveness && !pr.pass)
}

// note counts an outcome and says whether the verdict turned.
func (pr *probe) note(ok bool) bool {
	if pr.streak > 0 && pr.last == ok {
		pr.streak++
	} else {
		pr.last, pr.streak = ok, 1
	}
	need := pr.Spec.FailureThreshold
	if ok {
		need = pr.Spec.SuccessThreshold
	}
	if pr.streak < need && (pr.known || pr.Kind != Readiness || ok) {
		return false
	}
	turned := !pr.known || pr.pass != ok
	pr.known, pr.pass = true, ok
	return turned
}

func (pr *probe) before(other *probe) bool { return pr.next.Before(other.next) }
func (pr *probe) place() *int              { return &pr.index }
