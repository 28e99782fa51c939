package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/probe"
	"minato.dev/minato/internal/kubelet/seen"
)

// judge turns observations and probe verdicts into started, ready and unhealthy.
func (w *worker) judge(now time.Time) {
	alive := map[string]bool{}
	for i := range w.seen.Containers {
		c := &w.seen.Containers[i]
		alive[c.ID] = true
		w.attempts[c.Name] = max(w.attempts[c.Name], c.Attempt)
		if c.State == seen.Running {
			w.judgeOne(c)
		}
	}
	w.all = w.all || len(decide.Sources(&w.pod.Spec, w.seen)) > 0
	for _, m := range []map[string]bool{w.started, w.ready, w.again} {
		for id := range m {
			if !alive[id] {
				delete(m, id)
			}
		}
	}
	for id := range w.unhealthy {
		if !alive[id] {
			delete(w.unhealthy, id)
		}
	}
}

func (w *worker) judgeOne(c *seen.Container) {
	spec, _ := decide.Find(&w.pod.Spec, c.Name)
	if spec == nil {
		return
	}
	old := w.old(c)
	if !w.started[c.ID] && w.busy[decide.Op{Verb: decide.Start, Container: c.Name}.Key()] == nil {
		switch {
		case spec.StartupProbe == nil, old != nil && old.Started != nil && *old.Started:
			w.started[c.ID] = true
		default:
			pass, known := w.k.prober.Passing(probe.Key{Pod: w.uid, Container: c.ID, Kind: probe.Startup})
			w.started[c.ID] = known && pass
			w.condemn(c, spec.StartupProbe, "startup", known && !pass)
		}
	}
	if spec.LivenessProbe != nil {
		pass, known := w.k.prober.Passing(probe.Key{Pod: w.uid, Container: c.ID, Kind: probe.Liveness})
		w.condemn(c, spec.LivenessProbe, "liveness", known && !pass)
	}
	if spec.ReadinessProbe != nil {
		pass, known := w.k.prober.Passing(probe.Key{Pod: w.uid, Container: c.ID, Kind: probe.Readiness})
		if !known && old != nil {
			pass = old.Ready // found running: what was true before the restart holds until asked again
		}
		w.ready[c.ID] = pass
	}
}

func (w *worker) condemn(c *seen.Container, p *corev1.Probe, kind string, yes bool) {
	if _, already := w.unhealthy[c.ID]; yes && !already {
		w.unhealthy[c.ID] = decide.Unhealthy{Grace: p.TerminationGracePeriodSeconds,
			Reason: "Container " + c.Name + " failed " + kind + " probe, will be restarted"}
	}
}

// old is the container's status in the API where that speaks of the same attempt.
func (w *worker) old(c *seen.Container) *corev1.ContainerStatus {
	id := w.k.runtimeName + "://" + c.ID
	for _, list := range [][]corev1.ContainerStatus{w.pod.Status.ContainerStatuses, w.pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].ContainerID == id {
				return &list[i]
			}
		}
	}
	return nil
}
