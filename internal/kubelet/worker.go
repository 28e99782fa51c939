package kubelet

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/allocation"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/static"
	"minato.dev/minato/internal/kubelet/status"
	"minato.dev/minato/internal/kubelet/steps"
	"minato.dev/minato/internal/run"
)

// worker brings one pod in order. Its loop is the only one that touches its fields below the line; everybody else
// leaves a note under mu and wakes it.
type worker struct {
	k      *Kubelet
	uid    types.UID
	book   *allocation.Book
	static bool // it comes from a file, and its mirror pod has its status
	log    *slog.Logger
	wakeup chan struct{}

	mu        sync.Mutex
	next      *corev1.Pod                          // the newest object that was heard of
	gone      bool                                 // the object does not exist any more
	stale     bool                                 // the runtime has news of the pod
	news      []*runtimeapi.ContainerEventResponse // what the runtime has told, oldest first
	refresh   bool                                 // an object that a volume shows has changed
	evict     *decide.Stop
	pending   *corev1.PodCondition // a resize that waits
	started0  int64                // generation of a resize granted just now
	results   []result
	public    corev1.PodStatus           // the last derived status, for the server
	shownSeen seen.Pod                   // the last observation, for the server
	enders    map[string][]chan struct{} // closed when the container of that id has ended

	// owned by the loop
	scope      *run.Scope
	raw        *corev1.Pod // as the API has it
	pod        *corev1.Pod // with the resources that it is granted
	version    int         // of the grant in pod
	seen       seen.Pod
	known      bool // seen holds an observation
	busy       map[string]context.CancelFunc
	hold       holds
	mounted    bool
	clean      bool
	images     map[string]string // container -> the runtime's reference
	waiting    map[string]status.Waiting
	obstacle   string // why no container can start yet: sandbox or volumes
	back       map[string]decide.Backoff
	started    map[string]bool
	ready      map[string]bool
	unhealthy  map[string]decide.Unhealthy
	backing    map[string]time.Time // back-offs whose event was written
	exits      map[string]string    // termination messages by container id
	refs       bool                 // config maps and secrets are held
	attempts   map[string]int32     // highest attempt by container, also of those that are gone
	again      map[string]bool      // containers (by id) that were ended to start again
	resize     *corev1.PodCondition // a resize under way
	restart    map[string]bool      // running containers (by id) that a resize restarts
	changes    []steps.Change       // what the next resize operation has to do
	considered bool                 // a resize that an earlier process left waiting was looked at again
	begun      bool                 // containers were ended to restart all
	all        bool                 // all containers are being restarted
	remembered *corev1.Pod          // as it was written to the disk last
}

// result is what an operation came to.
type result struct {
	op    decide.Op
	err   error
	id    string // of a started container
	image string
	pod   *corev1.Pod // as the API returned it

	// of a resize
	applied map[string]corev1.ResourceRequirements
	limits  cgroup.Limits
}

func newWorker(k *Kubelet, pod *corev1.Pod, gone, adopt bool) *worker {
	w := &worker{k: k, uid: pod.UID, log: k.cfg.Log.With("pod", pod.Namespace+"/"+pod.Name), wakeup: make(chan struct{}, 1),
		next: pod, gone: gone, stale: adopt, known: !adopt, seen: seen.Pod{UID: pod.UID, Namespace: pod.Namespace, Name: pod.Name},
		public: pod.Status, busy: map[string]context.CancelFunc{}, hold: holds{}, images: map[string]string{},
		waiting: map[string]status.Waiting{}, back: map[string]decide.Backoff{}, started: map[string]bool{}, ready: map[string]bool{},
		unhealthy: map[string]decide.Unhealthy{}, backing: map[string]time.Time{}, exits: map[string]string{},
		attempts: map[string]int32{}, again: map[string]bool{}}
	w.static = pod.Annotations[static.Source] == "file"
	dir, limits := k.mounter.PodDir(pod.UID), k.node.Limits(pod)
	w.book = allocation.New(dir, pod, limits)
	if adopt {
		var err error
		if w.book, err = allocation.Open(dir, pod, limits); err != nil {
			w.log.Warn("granted resources are lost, the pod has what its spec says", "err", err)
		}
		w.pending, w.resize = written(pod, corev1.PodResizePending), written(pod, corev1.PodResizeInProgress)
	}
	w.take(pod)
	return w
}

func (w *worker) wake() {
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

// note changes w under its lock and wakes it.
func (w *worker) note(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	w.wake()
}

// heard tells the worker of a newer object.
func (w *worker) heard(pod *corev1.Pod) {
	w.note(func() {
		if newer(pod, w.next) {
			w.next = pod
		}
	})
}

// newer compares two versions of one object.
func newer(a, b *corev1.Pod) bool {
	x, err1 := strconv.ParseUint(a.ResourceVersion, 10, 64)
	y, err2 := strconv.ParseUint(b.ResourceVersion, 10, 64)
	return err1 != nil || err2 != nil || x >= y
}

// run works until the pod is over and forgotten, or ctx ends. Operations under way are cancelled then; containers run on.
func (w *worker) run(ctx context.Context) error {
	defer w.k.prober.Set(w.uid, nil, nil)
	defer w.k.objects.Release(w.uid)
	return run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		w.scope = s
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			wake, over := w.step(ctx)
			if over {
				return nil
			}
			arm(timer, wake)
			select {
			case <-w.wakeup:
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// arm sets timer to t, or stops it where t is zero.
func arm(timer *time.Timer, t time.Time) {
	if t.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(time.Until(t))
}

// step is one round: take the notes in, observe, decide, act, report.
func (w *worker) step(ctx context.Context) (wake time.Time, over bool) {
	evict, gone := w.collect()
	now := time.Now()
	if !w.observe(ctx) {
		return now.Add(time.Second), false
	}
	w.judge(now)
	stop := w.stop(now, gone, evict)
	if stop != nil {
		w.cancelStarts()
	}
	w.reconsider(stop)
	resizing, changes := w.resizing()
	w.changes, w.restart = changes, resizing.Restart
	w.progress(resizing, stop, now)
	plan := decide.Next(w.input(now, stop, resizing))
	if plan.Over && stop != nil && stop.Gone {
		again := w.forget(now)
		return again, again.IsZero()
	}
	for _, op := range plan.Ops {
		w.launch(op)
	}
	w.explain(plan, now)
	w.probes(stop)
	w.refreshVolumes(now, stop)
	w.report(plan, stop, now)
	w.remember(now)
	wake = earliest(plan.Wake, w.hold.next(now), w.deadline(now), w.renewal(now))
	if t := w.replacing(plan, stop); t.After(now) {
		wake = earliest(wake, t)
	}
	return wake, false
}

// renewal is when a token or a certificate of the pod is to be replaced. One that is due already waits for the operation
// under way, or for the pause after its failure.
func (w *worker) renewal(now time.Time) time.Time {
	due, op := w.k.mounter.Renew(w.uid), decide.Op{Verb: decide.Volumes}
	switch {
	case due.IsZero(), due.After(now):
		return due
	case w.busy[op.Key()] != nil:
		return time.Time{} // its end wakes us
	case w.hold[op.Key()].until.After(now):
		return w.hold[op.Key()].until
	}
	return now.Add(time.Second)
}

// collect takes over what others have left.
func (w *worker) collect() (evict *decide.Stop, gone bool) {
	w.mu.Lock()
	results, news := w.results, w.news
	w.results, w.news = nil, nil
	changed := w.next != w.raw || w.version != w.book.Version()
	before := w.pod
	if changed {
		w.take(w.next)
	}
	evict, gone = w.evict, w.gone
	w.mu.Unlock()
	w.hear(news)
	for _, r := range results {
		w.finish(r)
	}
	if !w.refs && !gone {
		w.refs = true
		w.holdRefs()
	}
	if changed {
		w.edited(before)
	}
	return evict, gone
}

// hear takes in what events tell; where that is not enough the pod is observed.
func (w *worker) hear(news []*runtimeapi.ContainerEventResponse) {
	for _, e := range news {
		merged, full := w.seen.Merge(e)
		w.seen = merged
		if !full {
			w.mu.Lock()
			w.stale = true
			w.mu.Unlock()
		}
	}
	if len(news) > 0 {
		w.k.own(w.seen)
		w.show(w.seen)
	}
}

// observe asks the runtime where it has news. It says whether w knows the pod.
func (w *worker) observe(ctx context.Context) bool {
	w.mu.Lock()
	stale := w.stale
	w.stale = false
	w.mu.Unlock()
	if !stale && w.known {
		return true
	}
	got, err := seen.Observe(ctx, w.k.cfg.CRI, w.uid, w.seen)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("cannot observe the pod", "err", err)
		}
		w.mu.Lock()
		w.stale = true
		w.mu.Unlock()
		return false
	}
	if !w.known {
		w.resume(got)
	}
	w.seen, w.known = got, true
	w.k.own(got)
	w.show(got)
	return true
}

// resume takes up the restart back-offs that an earlier process had reached, as the restart counts tell them.
func (w *worker) resume(p seen.Pod) {
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		last := p.Latest(c.Name)
		if last == nil || last.Attempt == 0 {
			return
		}
		b := decide.Backoff{Pause: min(decide.FirstPause<<min(last.Attempt-1, 10), decide.MostPause), Updated: last.Created}
		if before := p.LastExit(c.Name, last); before != nil {
			b.Updated = before.Finished
		}
		w.back[c.Name] = b
	})
}

func (w *worker) input(now time.Time, stop *decide.Stop, r decide.Resizing) decide.Input {
	in := decide.Input{Pod: w.pod, Seen: w.seen, Now: now, Stop: stop, Busy: map[string]bool{}, Mounted: w.mounted, Images: map[string]bool{},
		Clean: w.clean, Hold: w.hold.until(), Back: w.back, Started: w.started, Unhealthy: w.unhealthy,
		Attempts: w.attempts, Resize: r, Restarting: w.begun}
	for k := range w.busy {
		in.Busy[k] = true
	}
	for c := range w.images {
		in.Images[c] = true
	}
	return in
}

func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
