// Package replicaset keeps as many pods of each ReplicaSet, and of each ReplicationController, as it asks for.
//
// plan (pure) looks at a ReplicaSet and its pods and says what to create, delete, adopt and release; Reconcile does it
// and writes the status. After its own writes it waits until the view has seen them, so that it never creates twice.
package replicaset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/adoption"
	"minato.dev/minato/internal/controllers/podcontrol"
	"minato.dev/minato/internal/controllers/pods"
)

type controller struct {
	c      *client.Client
	kind   kind
	pods   *client.View[*corev1.Pod]
	events *client.Recorder
}

// kind is where ReplicaSets come from: ReplicationControllers are handled as such too.
type kind struct {
	gvk         schema.GroupVersionKind
	countEnding bool // its status has a place for pods that are about to end
	list        func(namespace string) []*appsv1.ReplicaSet
	get         func(namespace, name string) (*appsv1.ReplicaSet, bool)
	writeStatus func(context.Context, *appsv1.ReplicaSet) error
	mayAdopt    adoption.Check
}

// New returns the controller of ReplicaSets.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	sets := client.ViewOf(vs, client.ReplicaSets)
	r := open(vs, events, kind{
		gvk: client.ReplicaSets.GVK(), countEnding: true,
		list: func(ns string) []*appsv1.ReplicaSet { return sets.List(ns, nil) },
		get:  sets.Get,
		writeStatus: func(ctx context.Context, rs *appsv1.ReplicaSet) error {
			_, err := client.Of(vs.Client(), client.ReplicaSets).UpdateStatus(ctx, rs)
			return err
		},
		mayAdopt: adoption.Of(vs.Client(), client.ReplicaSets),
	})
	return control.Controller{
		Name: "replicaset", Workers: 4,
		Sources:   []control.Source{control.Self(sets), control.On(r.pods, r.ofPod)},
		Writes:    []string{"replicasets.apps/status", "pods:replicaset"},
		Reconcile: r.reconcile,
	}
}

func open(vs *client.Views, events *client.Recorder, k kind) *controller {
	r := &controller{c: vs.Client(), kind: k, pods: client.ViewOf(vs, client.Pods), events: events}
	pods.IndexByOwner(r.pods)
	return r
}

// ofPod names the sets that a change of a pod concerns: its owners before and after, or, for an orphan, all
// whose selector matches.
func (r *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	for _, p := range []*corev1.Pod{old, new} {
		if p == nil {
			continue
		}
		if ref := metav1.GetControllerOf(p); ref != nil {
			if ref.Kind == r.kind.gvk.Kind {
				keys = append(keys, control.Key{Namespace: p.Namespace, Name: ref.Name})
			}
			continue
		}
		for _, rs := range r.kind.list(p.Namespace) {
			if sel, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector); err == nil && sel.Matches(labels.Set(p.Labels)) {
				keys = append(keys, control.Key{Namespace: rs.Namespace, Name: rs.Name})
			}
		}
	}
	return keys
}

func (r *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	rs, ok := r.kind.get(k.Namespace, k.Name)
	if !ok {
		return control.Result{}, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return control.Result{}, fmt.Errorf("selector: %w", err)
	}
	now := time.Now()
	p := makePlan(rs, sel, r.candidates(rs), now)
	if len(p.adopt) > 0 {
		if err := r.kind.mayAdopt(ctx, rs); err != nil {
			return control.Result{}, err
		}
	}
	failure := r.act(ctx, rs, p)
	status := p.status
	if !r.kind.countEnding {
		status.TerminatingReplicas = nil
	}
	setFailure(&status, rs.Status.Conditions, failure, p, now)
	if !equality.Semantic.DeepEqual(status, rs.Status) {
		changed := rs.DeepCopy()
		changed.Status = status
		if err := r.kind.writeStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
			return control.Result{}, errors.Join(failure, fmt.Errorf("write status: %w", err))
		}
	}
	return control.Result{After: p.lookAgain}, failure
}

// candidates are the pods that rs owns and the orphans of its namespace.
func (r *controller) candidates(rs *appsv1.ReplicaSet) []*corev1.Pod {
	list := r.pods.ByIndex(pods.OwnerIndex, string(rs.UID))
	for _, p := range r.pods.ByIndex(pods.OwnerIndex, "") {
		if p.Namespace == rs.Namespace {
			list = append(list, p)
		}
	}
	return list
}

// act carries the plan out.
func (r *controller) act(ctx context.Context, rs *appsv1.ReplicaSet, p plan) error {
	door := client.Of(r.c, client.Pods)
	for _, pod := range p.adopt {
		if err := adopt(ctx, r.c, metav1.NewControllerRef(rs, r.kind.gvk), pod); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("adopt pod %s: %w", pod.Name, err)
		}
	}
	for _, pod := range p.release {
		if err := release(ctx, r.c, rs, pod); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("release pod %s: %w", pod.Name, err)
		}
	}
	if p.create > 0 {
		return r.create(ctx, rs, p.create)
	}
	return podcontrol.Each(ctx, len(p.remove), func(ctx context.Context, i int) error {
		pod := p.remove[i]
		err := door.Delete(ctx, pod.Namespace, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		if err != nil {
			r.events.Event(rs, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
		r.events.Event(rs, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", pod.Name)
		return nil
	})
}

// create makes n pods in rounds of 1, 2, 4 ..., so that a refusal (quota, admission) costs one request and not n, and
// waits until the view has them.
func (r *controller) create(ctx context.Context, rs *appsv1.ReplicaSet, n int) error {
	var mu sync.Mutex
	newest := ""
	defer func() {
		if newest != "" {
			_ = r.pods.WaitFor(ctx, newest) // fails only when ctx ends, which the caller sees itself
		}
	}()
	for batch := 1; n > 0; batch *= 2 {
		batch = min(batch, n, 500)
		n -= batch
		err := podcontrol.Each(ctx, batch, func(ctx context.Context, _ int) error {
			pod, err := client.Of(r.c, client.Pods).Create(ctx, newPod(rs, r.kind.gvk))
			if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil // the set itself is about to go
			}
			if err != nil {
				r.events.Event(rs, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
				return fmt.Errorf("create pod: %w", err)
			}
			mu.Lock()
			if len(pod.ResourceVersion) > len(newest) || len(pod.ResourceVersion) == len(newest) && pod.ResourceVersion > newest {
				newest = pod.ResourceVersion
			}
			mu.Unlock()
			r.events.Event(rs, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", pod.Name)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func newPod(rs *appsv1.ReplicaSet, gvk schema.GroupVersionKind) *corev1.Pod {
	t := rs.Spec.Template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rs.Namespace, GenerateName: rs.Name + "-", Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, gvk)},
		},
		Spec: t.Spec,
	}
}
