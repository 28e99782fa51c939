package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
)

// stop says whether and why the pod has to end.
func (w *worker) stop(now time.Time, gone bool, evict *decide.Stop) *decide.Stop {
	grace := seconds(w.pod.Spec.TerminationGracePeriodSeconds)
	switch {
	case gone:
		return &decide.Stop{Grace: w.orphanGrace(), Gone: true}
	case w.pod.DeletionTimestamp != nil:
		s := &decide.Stop{Grace: seconds(w.pod.DeletionGracePeriodSeconds)}
		return s
	case w.pod.Status.Phase == corev1.PodFailed || w.pod.Status.Phase == corev1.PodSucceeded:
		return &decide.Stop{Grace: grace}
	case evict != nil:
		return evict
	}
	if d := decide.Deadline(w.pod); !d.IsZero() && !now.Before(d) {
		const message = "Pod was active on the node longer than the specified deadline"
		stop := &decide.Stop{Grace: grace, Reason: "DeadlineExceeded", Message: message}
		w.mu.Lock()
		w.evict = stop
		w.mu.Unlock()
		w.k.node.Event(w.pod, "", corev1.EventTypeNormal, "DeadlineExceeded", message)
		return stop
	}
	return nil
}

// orphanGrace is how long the containers of a pod without an object get: what its object last said, or what the
// containers' own annotations say.
func (w *worker) orphanGrace() time.Duration {
	if w.pod.DeletionGracePeriodSeconds != nil {
		return max(seconds(w.pod.DeletionGracePeriodSeconds), time.Second)
	}
	if len(w.pod.Spec.Containers) > 0 {
		return seconds(w.pod.Spec.TerminationGracePeriodSeconds)
	}
	longest := time.Second
	for _, c := range w.seen.Live() {
		longest = max(longest, c.Grace())
	}
	return longest
}

func seconds(s *int64) time.Duration {
	if s == nil {
		return 30 * time.Second
	}
	return time.Duration(*s) * time.Second
}

// deadline is when activeDeadlineSeconds will be over, zero where they are or there are none.
func (w *worker) deadline(now time.Time) time.Time {
	if d := decide.Deadline(w.pod); d.After(now) {
		return d
	}
	return time.Time{}
}

// cancelStarts ends operations that would bring up what has to go.
func (w *worker) cancelStarts() {
	for _, op := range []decide.Op{{Verb: decide.Volumes}, {Verb: decide.Sandbox}} {
		if cancel := w.busy[op.Key()]; cancel != nil {
			cancel()
		}
	}
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		for _, v := range []decide.Verb{decide.Image, decide.Start} {
			if cancel := w.busy[decide.Op{Verb: v, Container: c.Name}.Key()]; cancel != nil {
				cancel()
			}
		}
	})
}

// forget removes the last traces of a pod whose object is gone. It returns when to try again; zero: it is done.
func (w *worker) forget(now time.Time) time.Time {
	err := w.k.node.RemoveLogs(w.pod)
	if err == nil {
		return time.Time{}
	}
	w.log.Warn("logs of the removed pod stay, will try again", "err", err)
	w.hold.failed(forgetKey, now, time.Second, 5*time.Minute)
	return w.hold[forgetKey].until
}

const forgetKey = "forget"
