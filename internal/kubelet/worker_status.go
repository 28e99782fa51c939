package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/probe"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/status"
)

// The two writes to the API, as operations of the worker: one at a time, the newest status wins.
const (
	mirrorVerb decide.Verb = "mirror"
	statusVerb decide.Verb = "write-status"
	deleteVerb decide.Verb = "delete"
)

// replaceTime is how long the replacement of a container may take before the status tells of it.
const replaceTime = time.Second

// report writes the status where it differs from the API's, and deletes the object when a deleted pod is over.
func (w *worker) report(plan decide.Plan, stop *decide.Stop, now time.Time) {
	if stop != nil && stop.Gone {
		return
	}
	st := status.Make(w.statusInput(plan, stop, now))
	w.mu.Lock()
	w.public = st
	w.mu.Unlock()
	differs := !apiequality.Semantic.DeepEqual(st, w.pod.Status)
	if !differs && len(decide.Sources(&w.pod.Spec, w.seen)) == 0 {
		w.all, w.begun = false, false
	}
	if !w.k.settled.Load() || w.static && !w.mirrored(now) {
		return // what we know of the object may be old
	}
	write, remove := decide.Op{Verb: statusVerb}, decide.Op{Verb: deleteVerb}
	if w.busy[write.Key()] != nil || w.busy[remove.Key()] != nil || now.Before(w.hold[write.Key()].until) {
		return
	}
	switch {
	case differs && now.Before(w.replacing(plan, stop)):
	case differs:
		pod := w.pod
		w.background(write, func(ctx context.Context) result {
			got, err := w.k.writeStatus(ctx, pod, st)
			return result{pod: got, err: err}
		})
	case plan.Over && w.pod.DeletionTimestamp != nil && !now.Before(w.hold[remove.Key()].until):
		pod := w.pod
		w.background(remove, func(ctx context.Context) result {
			return result{err: w.k.deletePod(ctx, pod)}
		})
	}
}

// replacing is until when the status waits for the next life of a container that was ended because its spec has changed: it
// begins at once, and nobody is helped by reading of the milliseconds between. Zero, or past: the status does not wait.
func (w *worker) replacing(plan decide.Plan, stop *decide.Stop) (until time.Time) {
	if stop != nil || w.all {
		return time.Time{}
	}
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		s := w.seen.Latest(c.Name)
		if s != nil && s.State == seen.Created {
			s = w.seen.LastExit(c.Name, s)
		}
		_, waits := w.waiting[c.Name]
		_, backsOff := plan.BackingOff[c.Name]
		if s == nil || s.State != seen.Exited || waits || backsOff || s.Hash == seen.Hash(c) && !w.again[s.ID] {
			return
		}
		if t := s.Finished.Add(replaceTime); t.After(until) {
			until = t
		}
	})
	return until
}

// mirrored says that the API has a picture of this static pod to carry its status; where it has none, one is drawn.
func (w *worker) mirrored(now time.Time) bool {
	op, pod := decide.Op{Verb: mirrorVerb}, w.pod
	if w.busy[op.Key()] != nil || now.Before(w.hold[op.Key()].until) {
		return false
	}
	if w.k.statics.mirror(pod) != nil {
		return true
	}
	w.background(op, func(ctx context.Context) result {
		got, err := w.k.statics.draw(ctx, pod)
		if err == nil {
			w.k.statics.mirrored(got, false)
		}
		return result{err: err}
	})
	return false
}

func (w *worker) statusInput(plan decide.Plan, stop *decide.Stop, now time.Time) status.Input {
	waiting := make(map[string]status.Waiting, len(w.waiting))
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		if wait, ok := w.why(c, plan, now); ok {
			waiting[c.Name] = wait
		}
	})
	return status.Input{Pod: w.pod, Seen: w.seen, Now: now, Stop: stop, Done: plan.Done, Over: plan.Over, Waiting: waiting,
		Started: w.started, Ready: w.ready, Runtime: w.k.runtimeName, HostIPs: w.k.node.HostIPs(), Exit: w.exitMessage,
		Resize: w.resizeConditions(), Cgroup: w.book.Cgroup(), Restarting: w.all,
		RecursiveReadOnly: w.k.recursiveReadOnly(w.pod)}
}

// why is the waiting reason of a container that does not run.
func (w *worker) why(c *corev1.Container, plan decide.Plan, now time.Time) (status.Waiting, bool) {
	if b, ok := plan.BackingOff[c.Name]; ok {
		return status.Waiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			b.Pause, c.Name, w.pod.Name, w.pod.Namespace, w.uid)}, true
	}
	if wait, ok := w.waiting[c.Name]; ok {
		held := w.hold[decide.Op{Verb: decide.Image, Container: c.Name}.Key()]
		if backsOffPull(wait, held, now) {
			return status.Waiting{Reason: "ImagePullBackOff", Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, wait.Reason, wait.Message)}, true
		}
		return wait, true
	}
	if w.obstacle != "" && w.seen.Latest(c.Name) == nil {
		return status.Waiting{Reason: "ContainerCreating", Message: w.obstacle}, true
	}
	return status.Waiting{}, false
}

// backsOffPull says that a pull failed, that this was shown for a moment, and that the next try is still to come.
func backsOffPull(wait status.Waiting, held pause, now time.Time) bool {
	switch wait.Reason {
	case "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed":
		return now.Before(held.until) && !now.Before(held.since.Add(showError))
	}
	return false
}

// explain writes the events of containers that begin to wait.
func (w *worker) explain(plan decide.Plan, now time.Time) {
	for name, b := range plan.BackingOff {
		if !w.backing[name].Equal(b.Until) {
			w.backing[name] = b.Until
			w.k.node.BackOff(w.pod, name)
		}
	}
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		held, ok := w.hold[decide.Op{Verb: decide.Image, Container: c.Name}.Key()]
		if ok && backsOffPull(w.waiting[c.Name], held, now) && !w.backing[c.Name].Equal(held.until) {
			w.backing[c.Name] = held.until
			w.k.node.BackOffPull(w.pod, c.Name, c.Image)
		}
	})
}

// exitMessage is the termination message of an ended container. It outlives the pod's directory: in memory, and after a
// restart in the status that was written.
func (w *worker) exitMessage(c *seen.Container) string {
	if m, ok := w.exits[c.ID]; ok {
		return m
	}
	m := w.k.node.ExitMessage(w.pod, c)
	if m == "" && w.clean {
		m = w.writtenMessage(w.k.runtimeName + "://" + c.ID)
	}
	w.exits[c.ID] = m
	return m
}

func (w *worker) writtenMessage(id string) string {
	for _, list := range [][]corev1.ContainerStatus{w.pod.Status.ContainerStatuses, w.pod.Status.InitContainerStatuses, w.pod.Status.EphemeralContainerStatuses} {
		for i := range list {
			for _, s := range []corev1.ContainerState{list[i].State, list[i].LastTerminationState} {
				if s.Terminated != nil && s.Terminated.ContainerID == id {
					return s.Terminated.Message
				}
			}
		}
	}
	return ""
}

// finishWrite takes the outcome of a write in. A status that did not get through is derived and written again.
func (w *worker) finishWrite(r result) {
	key := r.op.Key()
	switch {
	case r.err == nil && r.op.Verb == deleteVerb:
		w.hold.failed(key, time.Now(), 5*time.Second, 5*time.Minute) // again only where a finalizer keeps the object
	case r.err == nil:
		delete(w.hold, key)
		if w.static && r.pod != nil {
			w.k.statics.mirrored(r.pod, false)
		}
		if r.pod != nil && r.pod.UID == w.uid && newer(r.pod, w.raw) {
			ended := terminal(r.pod) && !terminal(w.pod)
			w.take(r.pod)
			w.mu.Lock()
			if newer(r.pod, w.next) {
				w.next = r.pod
			}
			w.mu.Unlock()
			if ended {
				w.k.room()
			}
		}
	case apierrors.IsNotFound(r.err):
		w.hold.failed(key, time.Now(), time.Second, 10*time.Second) // the mirror will say so
	default:
		w.hold.failed(key, time.Now(), 50*time.Millisecond, 10*time.Second)
		w.log.Debug("write to the API failed, will try again", "op", key, "err", r.err)
	}
}

func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// writeStatus patches what differs between the status that the API has and st.
func (k *Kubelet) writeStatus(ctx context.Context, pod *corev1.Pod, st corev1.PodStatus) (*corev1.Pod, error) {
	if m := k.statics.mirror(pod); m != nil {
		pod = m
	}
	before, err := json.Marshal(corev1.Pod{Status: pod.Status})
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: st})
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return client.Of(k.c, client.Pods).Patch(ctx, pod.Namespace, pod.Name, types.StrategicMergePatchType, patch, "status")
}

// deletePod removes the object of a pod that has ended.
func (k *Kubelet) deletePod(ctx context.Context, pod *corev1.Pod) error {
	zero := int64(0)
	err := client.Of(k.c, client.Pods).Delete(ctx, pod.Namespace, pod.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// probes tells the prober what to ask now: a startup probe alone until it has passed, then the others.
func (w *worker) probes(stop *decide.Stop) {
	var targets []probe.Target
	ips := w.ips()
	decide.Each(&w.pod.Spec, func(c *corev1.Container, r decide.Role) {
		s := w.seen.Latest(c.Name)
		if s == nil || s.State != seen.Running || r == decide.Ephemeral || w.busy[decide.Op{Verb: decide.Start, Container: c.Name}.Key()] != nil {
			return
		}
		if _, bad := w.unhealthy[s.ID]; bad {
			return
		}
		spot := probe.Spot{Container: c, ID: s.ID}
		if len(ips) > 0 {
			spot.IP = ips[0]
		}
		add := func(kind probe.Kind, p *corev1.Probe) {
			if p != nil && (stop == nil || kind == probe.Readiness) {
				targets = append(targets, probe.Target{Key: probe.Key{Pod: w.uid, Container: s.ID, Kind: kind}, Spec: p, Spot: spot, Started: s.Started})
			}
		}
		if !w.started[s.ID] {
			add(probe.Startup, c.StartupProbe)
			return
		}
		add(probe.Liveness, c.LivenessProbe)
		add(probe.Readiness, c.ReadinessProbe)
	})
	w.k.prober.Set(w.uid, targets, w.wake)
}
