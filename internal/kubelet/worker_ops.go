package kubelet

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/allocation"
	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/object"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/status"
	"minato.dev/minato/internal/kubelet/steps"
)

// launch starts an operation beside the loop; its result comes back through finish.
func (w *worker) launch(op decide.Op) {
	w.background(op, w.task(op))
}

// background runs f as the operation op.
func (w *worker) background(op decide.Op, f func(ctx context.Context) result) {
	ctx, cancel := context.WithCancel(w.scope.Context())
	w.busy[op.Key()] = cancel
	w.scope.Go(op.Key(), func(context.Context) error {
		defer cancel()
		w.k.reach("begin " + string(op.Verb))
		r := f(ctx)
		w.k.reach("end " + string(op.Verb))
		r.op = op
		w.note(func() { w.results = append(w.results, r) })
		return nil
	})
}

func (k *Kubelet) reach(point string) {
	if k.cfg.Reach != nil {
		k.cfg.Reach(point)
	}
}

// task binds an operation to what it needs now, so that it reads nothing that the loop may change.
func (w *worker) task(op decide.Op) func(ctx context.Context) result {
	n, pod := w.k.node, w.pod
	c, _ := decide.Find(&pod.Spec, op.Container)
	simple := func(f func(ctx context.Context) error) func(context.Context) result {
		return func(ctx context.Context) result { return result{err: f(ctx)} }
	}
	switch op.Verb {
	case decide.Volumes:
		limits := w.book.Cgroup()
		return simple(func(ctx context.Context) error {
			if err := w.book.Ensure(); err != nil {
				return err
			}
			return n.Volumes(ctx, pod, limits)
		})
	case decide.Resize:
		return w.resizeTask(op)
	case decide.Sandbox:
		return simple(func(ctx context.Context) error { return n.Sandbox(ctx, pod, op.Attempt) })
	case decide.Image:
		return func(ctx context.Context) result {
			ref, err := n.Image(ctx, pod, c)
			return result{image: ref, err: err}
		}
	case decide.Start:
		return w.startTask(op, c)
	case decide.Kill:
		s, ips := w.container(op.ID), w.ips()
		w.noteKill(op)
		return simple(func(ctx context.Context) error { return n.Kill(ctx, pod, c, &s, op.Grace, op.Reason, ips) })
	case decide.StopSandbox:
		return simple(func(ctx context.Context) error { return n.StopSandbox(ctx, op.ID) })
	case decide.RemoveContainer:
		path := w.container(op.ID).LogPath
		if op.KeepLog {
			path = ""
			w.noteRestartAll(op)
		}
		return simple(func(ctx context.Context) error { return n.RemoveContainer(ctx, op.ID, path) })
	case decide.RemoveSandbox:
		return simple(func(ctx context.Context) error { return n.RemoveSandbox(ctx, op.ID) })
	case decide.Teardown:
		return simple(func(context.Context) error { return n.Teardown(pod.UID) })
	}
	return simple(func(context.Context) error { return fmt.Errorf("unknown operation %q", op.Verb) })
}

func (w *worker) startTask(op decide.Op, c *corev1.Container) func(ctx context.Context) result {
	n, pod := w.k.node, w.pod
	if last := w.seen.Latest(op.Container); last != nil && last.State == seen.Exited && !w.again[last.ID] {
		w.back[op.Container] = w.back[op.Container].Next(last.Finished)
	}
	s := steps.Start{Attempt: op.Attempt, PodIPs: w.ips(), Image: w.images[op.Container], Target: w.target(op.Container)}
	if box := w.seen.ReadySandbox(); box != nil {
		s.Sandbox = box.ID
	}
	s.Running = func(string) {
		if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
			w.note(func() { w.stale = true }) // it runs, though the hook may take its time
		}
	}
	return func(ctx context.Context) result {
		id, err := n.Start(ctx, pod, c, s)
		return result{id: id, err: err}
	}
}

// resizeTask brings containers and cgroup to what they are granted.
func (w *worker) resizeTask(op decide.Op) func(ctx context.Context) result {
	n, pod, list, now := w.k.node, w.pod, w.changes, w.book.Cgroup()
	r := result{applied: map[string]corev1.ResourceRequirements{}, limits: n.Limits(pod)}
	for _, c := range list {
		r.applied[c.ID] = c.Container.Resources
	}
	return func(ctx context.Context) result {
		r.err = n.Resize(ctx, pod, op.ID, list, now)
		return r
	}
}

// noteKill remembers that a container is ended to start again.
func (w *worker) noteKill(op decide.Op) {
	if w.restart[op.ID] {
		w.again[op.ID] = true
	}
	if w.all {
		w.begun = true
	}
}

// noteRestartAll counts the restart of all containers among those of the container that asked for it.
func (w *worker) noteRestartAll(op decide.Op) {
	w.begun = true
	if s := w.container(op.ID); decide.Sources(&w.pod.Spec, w.seen)[op.ID] {
		w.back[op.Container] = w.back[op.Container].Next(s.Finished)
	}
}

// target is the id of the container that an ephemeral container wants to look into.
func (w *worker) target(name string) string {
	for i := range w.pod.Spec.EphemeralContainers {
		e := &w.pod.Spec.EphemeralContainers[i]
		if e.Name == name && e.TargetContainerName != "" {
			if t := w.seen.Latest(e.TargetContainerName); t != nil {
				return t.ID
			}
		}
	}
	return ""
}

func (w *worker) container(id string) seen.Container {
	for _, c := range w.seen.Containers {
		if c.ID == id {
			return c
		}
	}
	return seen.Container{ID: id}
}

// ips are the pod's addresses.
func (w *worker) ips() []string {
	if w.pod.Spec.HostNetwork {
		return w.k.node.HostIPs()
	}
	if box := w.seen.ReadySandbox(); box != nil {
		return box.IPs
	}
	return nil
}

// finish takes the result of an operation in.
func (w *worker) finish(r result) {
	key := r.op.Key()
	delete(w.busy, key)
	if r.op.Verb == statusVerb || r.op.Verb == deleteVerb || r.op.Verb == mirrorVerb {
		w.finishWrite(r)
		return
	}
	if r.op.Verb == rememberVerb {
		w.finishRemember(r)
		return
	}
	w.mu.Lock()
	w.stale = w.stale || !w.settled(r)
	w.mu.Unlock()
	if r.err == nil {
		delete(w.hold, key)
		w.succeeded(r)
		return
	}
	if errors.Is(r.err, context.Canceled) {
		return
	}
	w.failed(r)
}

// settled says that the outcome of an operation has been seen already, by the events that the runtime sent meanwhile.
func (w *worker) settled(r result) bool {
	switch r.op.Verb {
	case decide.Volumes, decide.Image, decide.Teardown:
		return true
	case decide.Resize:
		return false // the runtime says what it made of it
	case decide.Sandbox:
		return r.err == nil && w.seen.ReadySandbox() != nil
	case decide.Start:
		c := w.seen.Find(r.id)
		return r.err == nil && c != nil && (c.State == seen.Running || c.State == seen.Exited)
	case decide.Kill:
		c := w.seen.Find(r.op.ID)
		return r.err == nil && c != nil && c.State == seen.Exited
	}
	return false
}

func (w *worker) succeeded(r result) {
	switch r.op.Verb {
	case decide.Volumes:
		w.mounted, w.clean, w.obstacle = true, false, ""
	case decide.Sandbox:
		w.obstacle = ""
	case decide.Image:
		w.images[r.op.Container] = r.image
		w.k.pulled.Store(true)
		delete(w.waiting, r.op.Container)
	case decide.Start:
		delete(w.images, r.op.Container)
		delete(w.waiting, r.op.Container)
	case decide.RemoveContainer, decide.RemoveSandbox:
		w.clean = false // until then something may have come up in the pod's cgroup
	case decide.Teardown:
		w.clean, w.mounted = true, false
	case decide.Resize:
		w.resized(r)
	}
}

// failed notes why, and when to try again.
func (w *worker) failed(r result) {
	now, key := time.Now(), r.op.Key()
	f := steps.AsFailure(r.err)
	if f != nil {
		w.waiting[r.op.Container] = status.Waiting{Reason: f.Reason, Message: f.Message}
	}
	switch r.op.Verb {
	case decide.Image:
		w.hold.failed(key, now, 10*time.Second, 5*time.Minute)
	case decide.Start:
		w.startFailed(r, f, now)
	case decide.Volumes:
		w.obstacle = r.err.Error()
		w.hold.failed(key, now, 500*time.Millisecond, 2*time.Minute)
	case decide.Sandbox:
		w.obstacle = cri.Message(r.err)
		w.hold.failed(key, now, time.Second, 30*time.Second)
	case decide.Resize:
		w.resizeFailed(r.err, now)
	default:
		w.hold.failed(key, now, 200*time.Millisecond, 30*time.Second)
		w.log.Warn("operation failed, will try again", "op", key, "err", r.err, "after", w.hold[key].length)
	}
}

func (w *worker) startFailed(r result, f *steps.Failure, now time.Time) {
	key := r.op.Key()
	switch {
	case f == nil:
		w.hold.failed(key, now, time.Second, time.Minute)
		w.log.Warn("container start failed, will try again", "container", r.op.Container, "err", r.err)
	case f.Reason == "PostStartHookError":
		w.unhealthy[r.id] = decide.Unhealthy{Reason: "FailedPostStartHook"}
		delete(w.images, r.op.Container)
	case f.Reason == "RunContainerError":
		delete(w.images, r.op.Container)
		w.hold.failed(key, now, time.Second, 5*time.Minute)
	default:
		w.hold.failed(key, now, time.Second, 10*time.Second)
	}
}

// holdRefs follows the objects that the pod's spec names.
func (w *worker) holdRefs() {
	w.k.objects.Hold(w.uid, object.Refs(w.pod), func() { w.note(func() { w.refresh = true }) })
}

// edited reacts to a new version of the Pod object or of its grant.
func (w *worker) edited(before *corev1.Pod) {
	if before.Generation != w.pod.Generation {
		w.holdRefs()
	}
	shown := !sameMap(before.Labels, w.pod.Labels) || !sameMap(before.Annotations, w.pod.Annotations) ||
		!apiequality.Semantic.DeepEqual(allocation.Of(before), allocation.Of(w.pod))
	for i := range w.pod.Spec.Volumes {
		v := &w.pod.Spec.Volumes[i]
		if shown && (v.DownwardAPI != nil || v.Projected != nil) {
			w.mu.Lock()
			w.refresh = true
			w.mu.Unlock()
		}
	}
}

func sameMap(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// refreshVolumes writes the volumes anew after a change of what they show, or when a token has grown old.
func (w *worker) refreshVolumes(now time.Time, stop *decide.Stop) {
	op := decide.Op{Verb: decide.Volumes}
	w.mu.Lock()
	changed := w.refresh
	w.mu.Unlock()
	if renew := w.k.mounter.Renew(w.uid); !renew.IsZero() && !now.Before(renew) {
		changed = true
	}
	if !changed || stop != nil || w.busy[op.Key()] != nil {
		return
	}
	w.mu.Lock()
	w.refresh = false
	w.mu.Unlock()
	decide.Each(&w.pod.Spec, func(c *corev1.Container, _ decide.Role) {
		if w.waiting[c.Name].Reason == "CreateContainerConfigError" {
			w.hold.now(decide.Op{Verb: decide.Start, Container: c.Name}.Key())
		}
	})
	if w.mounted && now.Before(w.hold[op.Key()].until) {
		return
	}
	w.hold.now(op.Key())
	w.launch(op)
}
