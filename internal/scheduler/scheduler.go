// Package scheduler gives every waiting pod a node and can say why.
//
// One loop takes pods from the queue in order of priority, asks the plugins about every node (decide, pure), promises
// the room at once and binds in the background. The cluster assembly calls Run; Explain is safe from anywhere. A
// change of nodes or a pod that leaves wakes the pods that did not fit; nothing polls. Tests: tables over decide, and
// stories against the real API server.
package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/scheduler/framework"
	"minato.dev/minato/internal/scheduler/plugins"
)

// Scheduler is the default scheduler.
type Scheduler struct {
	views   *client.Views
	events  *client.Recorder
	log     *slog.Logger
	plugins []framework.Plugin
	state   *state
	queue   *queue
	draw    *rand.Rand

	mu       sync.Mutex
	verdicts map[string]Verdict // of the pods that wait now
}

// New returns a scheduler that reads and writes through views and records its events with events.
func New(views *client.Views, events *client.Recorder, log *slog.Logger) *Scheduler {
	return &Scheduler{views: views, events: events, log: log, plugins: plugins.Default(), state: newState(),
		queue: newQueue(), draw: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), verdicts: map[string]Verdict{}}
}

// Explain returns why the pod waits; ok is false when the scheduler has not refused it.
func (s *Scheduler) Explain(ns, name string) (v Verdict, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok = s.verdicts[ns+"/"+name]
	return v, ok
}

// Run schedules until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	pods, nodes := client.ViewOf(s.views, client.Pods), client.ViewOf(s.views, client.Nodes)
	for _, wait := range []func(context.Context) error{nodes.WaitSynced, client.ViewOf(s.views, client.Namespaces).WaitSynced, pods.WaitSynced} {
		if err := wait(ctx); err != nil {
			return err
		}
	}
	nodes.OnChange(s.nodeChanged)
	pods.OnChange(s.podChanged)
	defer s.queue.stop()
	return run.With(ctx, func(scope *run.Scope) error {
		for {
			it := s.queue.pop(ctx)
			if it == nil {
				return nil
			}
			s.place(scope, it)
		}
	})
}

// namespace returns the labels of a namespace, for affinity terms that select namespaces by them.
func (s *Scheduler) namespace(name string) (labels.Set, bool) {
	ns, ok := client.ViewOf(s.views, client.Namespaces).Get("", name)
	if !ok {
		return nil, false
	}
	return ns.Labels, true
}

func (s *Scheduler) nodeChanged(old, new *corev1.Node) {
	if s.state.node(old, new) {
		s.queue.wakeAll()
	}
}

func (s *Scheduler) podChanged(old, new *corev1.Pod) {
	switch {
	case new == nil:
		s.queue.remove(old)
		s.forget(old)
		s.state.pod(old, true)
		s.queue.wakeAll()
	case waits(new):
		if old == nil && new.Status.NominatedNodeName != "" { // room was being made when the last scheduler ended
			s.state.nominate(new, new.Status.NominatedNodeName)
		}
		s.queue.put(new)
	default:
		s.queue.remove(new)
		s.forget(new)
		if new.Spec.NodeName != "" {
			s.state.pod(new, ended(new))
			if old == nil || old.Spec.NodeName == "" || !maps.Equal(old.Labels, new.Labels) {
				s.queue.wakeThose(minds)
			}
		}
		if ended(new) && (old == nil || !ended(old)) {
			s.queue.wakeAll()
		}
	}
}

func (s *Scheduler) forget(p *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.verdicts, podKey(p))
	s.state.nominate(p, "")
}

// place decides for one pod, and binds it in the background or parks it. A parked item takes over newer forms of its pod, so
// that what goes on in the background has the pod that was judged.
func (s *Scheduler) place(scope *run.Scope, it *item) {
	pod := it.pod
	p := framework.NewPod(pod)
	v := s.state.decide(p, s.namespace, func(c framework.Cluster) Verdict { return decide(p, c, s.plugins, s.draw) })
	if v.Node != "" {
		scope.Go("bind "+podKey(pod), func(ctx context.Context) error { s.bind(ctx, it, v); return nil })
		return
	}
	chosen := s.preempt(scope.Context(), p, &v)
	s.queue.park(it, time.Now(), false)
	scope.Go("report "+podKey(pod), func(ctx context.Context) error {
		s.refuse(ctx, pod, v)
		switch {
		case chosen != nil:
			s.carryOut(ctx, pod, chosen)
		case pod.Status.NominatedNodeName != "" && !s.state.isNominated(pod):
			s.writeNomination(ctx, pod.Namespace, pod.Name, "")
		}
		return nil
	})
}

// bind tells the API server where the pod goes; a failure takes the promise back and tries again.
func (s *Scheduler) bind(ctx context.Context, it *item, v Verdict) {
	p := it.pod
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		Target: corev1.ObjectReference{Kind: "Node", Name: v.Node}}
	path := client.Of(s.views.Client(), client.Pods).Path(p.Namespace, p.Name, "binding")
	if err := client.Post(ctx, s.views.Client(), path, corev1.SchemeGroupVersion, b); err != nil {
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("pod not bound, will try again", "pod", podKey(p), "node", v.Node, "err", err)
		if current, ok := client.ViewOf(s.views, client.Pods).Get(p.Namespace, p.Name); ok && waits(current) {
			promised := p.DeepCopy()
			promised.Spec.NodeName = v.Node
			s.state.pod(promised, true)
			s.queue.park(it, time.Now(), true)
		}
		return
	}
	s.forget(p)
	s.events.Acted(p, corev1.EventTypeNormal, "Scheduled", "Binding", "Successfully assigned %s/%s to %s", p.Namespace, p.Name, v.Node)
}

// refuse writes down why the pod waits, where that is news.
func (s *Scheduler) refuse(ctx context.Context, p *corev1.Pod, v Verdict) {
	message := v.Message()
	s.mu.Lock()
	before, had := s.verdicts[podKey(p)]
	s.verdicts[podKey(p)] = v
	s.mu.Unlock()
	if had && before.Message() == message {
		return
	}
	s.events.Acted(p, corev1.EventTypeWarning, "FailedScheduling", "Scheduling", "%s", message)
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":%q,"lastTransitionTime":%q}]}}`, message, now)
	_, err := client.Of(s.views.Client(), client.Pods).Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, []byte(patch), "status")
	if err != nil && ctx.Err() == nil {
		s.log.Debug("pod condition not written", "pod", podKey(p), "err", err)
	}
}
