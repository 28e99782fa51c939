package kubelet

import (
	"errors"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/allocation"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/steps"
)

// A resize goes this way:
//
//	spec changes -> the node agrees (grant, on disk) -> containers and cgroup follow (applied, on disk) -> done
//	                or has no room: PodResizePending     PodResizeInProgress meanwhile
//
// resizeRetry is the first and the longest pause before what the kernel or the runtime refused is tried again.
const (
	resizeRetry     = 5 * time.Second
	resizeRetryMost = time.Minute
)

// take makes pod, with the resources that it is granted, the worker's.
func (w *worker) take(pod *corev1.Pod) {
	w.raw, w.version = pod, w.book.Version()
	w.pod = w.book.Granted(pod)
}

// reconsider asks the node for a resize that the spec wants and that was not considered yet.
func (w *worker) reconsider(stop *decide.Stop) {
	if stop != nil {
		return
	}
	w.mu.Lock()
	pending := w.pending
	w.mu.Unlock()
	if !w.k.settled.Load() {
		return // not all pods are known yet
	}
	wanted := w.pod != w.raw
	if w.considered && wanted == (pending != nil) && (pending == nil || pending.ObservedGeneration == w.raw.Generation) {
		return
	}
	w.considered = true
	w.k.resize(w)
	if w.book.Version() != w.version {
		before := w.pod
		w.take(w.raw)
		w.edited(before)
		w.hold.now(decide.Op{Verb: decide.Resize}.Key())
	}
}

// resizing is what a grant leaves to do.
func (w *worker) resizing() (r decide.Resizing, list []steps.Change) {
	r.Restart, r.Again = map[string]bool{}, w.again
	decide.Each(&w.pod.Spec, func(c *corev1.Container, role decide.Role) {
		s := w.seen.Latest(c.Name)
		if role == decide.Ephemeral || s == nil || s.State != seen.Running || w.busy[decide.Op{Verb: decide.Start, Container: c.Name}.Key()] != nil {
			return
		}
		now, known := w.book.Applied(s.ID)
		if !known {
			now, known = s.MadeWith()
		}
		cpu, memory := allocation.Differs(now, c.Resources)
		switch {
		case !known || !cpu && !memory:
		case cpu && restartsFor(c, corev1.ResourceCPU) || memory && restartsFor(c, corev1.ResourceMemory):
			r.Restart[s.ID] = true
		default:
			list = append(list, steps.Change{ID: s.ID, Container: c, Now: now})
		}
	})
	r.Apply = len(list) > 0 || w.mounted && !sameLimits(w.book.Cgroup(), w.k.node.Limits(w.pod))
	return r, list
}

func restartsFor(c *corev1.Container, name corev1.ResourceName) bool {
	for _, p := range c.ResizePolicy {
		if p.ResourceName == name {
			return p.RestartPolicy == corev1.RestartContainer
		}
	}
	return false
}

// sameLimits compares what a resize may change.
func sameLimits(a, b cgroup.Limits) bool {
	a.Pids, b.Pids = 0, 0
	return a == b
}

// progress keeps the condition of a resize under way.
func (w *worker) progress(r decide.Resizing, stop *decide.Stop, now time.Time) {
	w.mu.Lock()
	started := w.started0
	w.started0 = 0
	if stop != nil {
		w.pending = nil
	}
	w.mu.Unlock()
	if stop != nil {
		w.resize = nil
		return
	}
	if started != 0 {
		w.resize = resizeCondition(corev1.PodResizeInProgress, nil, "", "", started, now)
	}
	needs := r.Apply || len(r.Restart) > 0 || w.restartsForResize()
	switch {
	case needs && w.resize == nil:
		w.resize = resizeCondition(corev1.PodResizeInProgress, nil, "", "", w.pod.Generation, now)
	case !needs && w.resize != nil:
		generation := w.resize.ObservedGeneration
		w.resize = nil
		w.k.node.Event(w.pod, "", corev1.EventTypeNormal, "ResizeCompleted", "%s", allocation.Message("Pod resize completed", w.pod, generation, ""))
	}
}

// restartsForResize says that a container which was ended for a resize does not run again yet.
func (w *worker) restartsForResize() bool {
	for id := range w.again {
		if c := w.seen.Find(id); c != nil && w.seen.Latest(c.Name).ID == id {
			return true
		}
	}
	return false
}

// resized takes in that containers and cgroup have what they are granted.
func (w *worker) resized(r result) {
	alive := map[string]bool{}
	for _, c := range w.seen.Live() {
		alive[c.ID] = true
	}
	err := w.book.Apply(r.applied, r.limits, alive)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the directory goes with the pod
		w.log.Warn("cannot note the resize, it will be done again", "err", err)
	}
}

// resizeFailed shows why a resize does not come about.
func (w *worker) resizeFailed(err error, now time.Time) {
	w.hold.failed(decide.Op{Verb: decide.Resize}.Key(), now, resizeRetry, resizeRetryMost)
	old, generation := w.resize, w.pod.Generation
	if old != nil {
		generation = old.ObservedGeneration
	}
	w.resize = resizeCondition(corev1.PodResizeInProgress, old, corev1.PodReasonError, err.Error(), generation, now)
	if old == nil || old.Reason != w.resize.Reason || old.Message != w.resize.Message {
		w.k.node.Event(w.pod, "", corev1.EventTypeWarning, "ResizeError", "%s", allocation.Message("Pod resize error", w.pod, generation, err.Error()))
	}
}

// resizeCondition is the next one after old; its transition time moves with its reason.
func resizeCondition(t corev1.PodConditionType, old *corev1.PodCondition, reason, message string, generation int64, now time.Time) *corev1.PodCondition {
	c := &corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now).Rfc3339Copy()}
	if old != nil && old.Reason == reason {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return c
}

// resizeConditions are those that the status is to show.
func (w *worker) resizeConditions() []corev1.PodCondition {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []corev1.PodCondition
	for _, c := range []*corev1.PodCondition{w.pending, w.resize} {
		if c != nil {
			out = append(out, *c)
		}
	}
	return out
}

// written finds the condition that an earlier process has written.
func written(pod *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == t && c.Status == corev1.ConditionTrue {
			return c.DeepCopy()
		}
	}
	return nil
}
