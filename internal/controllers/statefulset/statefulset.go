// Package statefulset keeps the numbered pods of each StatefulSet, with their names and claims, in order.
//
// makePlan (pure) walks the ordinals and names the next step: with OrderedReady at most one, with Parallel all that can be
// taken at once. identity.go says what each pod and claim is called, claims.go makes claims and says who takes them along.
// Rules are upstream's: partition, maxUnavailable, OnDelete, minReadySeconds, start ordinal, claim retention policy.
package statefulset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/podcontrol"
	"minato.dev/minato/internal/controllers/revision"
)

type controller struct {
	c       *client.Client
	sets    *client.View[*appsv1.StatefulSet]
	claims  *client.View[*corev1.PersistentVolumeClaim]
	pods    *podcontrol.Control
	history *revision.History
	events  *client.Recorder
}

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	s := &controller{c: vs.Client(), sets: client.ViewOf(vs, client.StatefulSets), claims: client.ViewOf(vs, client.PersistentVolumeClaims),
		pods: podcontrol.New(vs, events, client.StatefulSets), history: revision.New(vs, client.StatefulSets), events: events}
	return control.Controller{
		Name: "statefulset", Workers: 4,
		Sources:   []control.Source{control.Self(s.sets), control.On(s.pods.Pods, s.ofPod), control.Needs(s.claims), control.Needs(s.history.View)},
		Writes:    []string{"statefulsets.apps/status", "pods:statefulset", "controllerrevisions.apps:statefulset", "persistentvolumeclaims:statefulset"},
		Reconcile: s.reconcile,
	}
}

func (s *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	ns, names := s.pods.Owners(old, new, func(ns string, l labels.Set) (names []string) {
		for _, set := range s.sets.List(ns, nil) {
			if sel, err := metav1.LabelSelectorAsSelector(set.Spec.Selector); err == nil && sel.Matches(l) {
				names = append(names, set.Name)
			}
		}
		return names
	})
	for _, n := range names {
		keys = append(keys, control.Key{Namespace: ns, Name: n})
	}
	return keys
}

// templates are the two versions that a rollout goes between.
type templates struct {
	current, update       string // names of revisions
	currentSpec, nextSpec *corev1.PodTemplateSpec
	collisions            int32
	history               []*appsv1.ControllerRevision
}

func (s *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	set, ok := s.sets.Get(k.Namespace, k.Name)
	if !ok {
		return control.Result{}, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return control.Result{}, fmt.Errorf("selector: %w", err)
	}
	mine, err := s.pods.Claim(ctx, set, sel, func(p *corev1.Pod) bool { return ordinal(set, p) >= 0 })
	if err != nil || set.DeletionTimestamp != nil {
		return control.Result{}, err
	}
	t, err := s.templates(ctx, set, sel)
	if err != nil {
		return control.Result{}, err
	}
	p := makePlan(set, mine, t.current, t.update, time.Now())
	failure := s.act(ctx, set, t, p)
	if failure == nil {
		failure = s.trim(ctx, set, t, mine)
	}
	p.status.CollisionCount = &t.collisions
	if !equality.Semantic.DeepEqual(p.status, set.Status) {
		changed := set.DeepCopy()
		changed.Status = p.status
		if _, err := client.Of(s.c, client.StatefulSets).UpdateStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
			return control.Result{}, errors.Join(failure, fmt.Errorf("write status: %w", err))
		}
	}
	return control.Result{After: p.lookAgain}, failure
}

// templates finds the revision that the status calls current and the one of today's template.
func (s *controller) templates(ctx context.Context, set *appsv1.StatefulSet, sel labels.Selector) (t templates, err error) {
	if c := set.Status.CollisionCount; c != nil {
		t.collisions = *c
	}
	data, err := revision.Template(&set.Spec.Template)
	if err != nil {
		return t, err
	}
	if t.history, err = s.history.Of(ctx, set, sel); err != nil {
		return t, err
	}
	name := func() (label, hash string) { return hashLabel, revision.Hash(data, t.collisions) }
	next, err := s.history.Current(ctx, set, t.history, data, set.Spec.Template.Labels, name, func() { t.collisions++ })
	if err != nil {
		return t, err
	}
	t.update, t.nextSpec = next.Name, &set.Spec.Template
	t.current, t.currentSpec = t.update, t.nextSpec
	for _, r := range t.history {
		if r.Name == set.Status.CurrentRevision && r.Name != t.update {
			spec, err := revision.Spec(r)
			if err != nil {
				return t, fmt.Errorf("revision %s: %w", r.Name, err)
			}
			t.current, t.currentSpec = r.Name, spec
		}
	}
	return t, nil
}

// hashLabel is upstream's label of a StatefulSet's revisions.
const hashLabel = "controller.kubernetes.io/hash"

func (s *controller) act(ctx context.Context, set *appsv1.StatefulSet, t templates, p plan) error {
	for _, pod := range p.mend {
		if err := s.mend(ctx, set, pod); err != nil {
			return err
		}
	}
	for _, pod := range p.claims {
		if err := s.makeClaims(ctx, set, ordinal(set, pod)); err != nil {
			return err
		}
	}
	if err := s.retain(ctx, set, p); err != nil {
		return err
	}
	for _, pod := range p.ended {
		reason, what := "RecreatingFailedPod", "failed"
		if pod.Status.Phase == corev1.PodSucceeded {
			reason, what = "RecreatingTerminatedPod", "terminated"
		}
		s.events.Event(set, corev1.EventTypeWarning, reason, "StatefulSet %s/%s is recreating %s Pod %s", set.Namespace, set.Name, what, pod.Name)
	}
	if err := s.pods.Delete(ctx, set, p.remove); err != nil {
		return err
	}
	var list []*corev1.Pod
	for _, n := range p.create {
		if err := s.makeClaims(ctx, set, n); err != nil {
			s.events.Event(set, corev1.EventTypeWarning, "FailedCreate", "create Pod %s-%d in StatefulSet %s failed error: %v", set.Name, n, set.Name, err)
			return err
		}
		spec, name := t.nextSpec, t.update
		if useCurrent(set, n) {
			spec, name = t.currentSpec, t.current
		}
		list = append(list, s.newPod(set, spec, name, n))
	}
	return s.pods.Create(ctx, set, list)
}

// trim drops history beyond the limit; what a pod still runs, and both ends of a rollout, stay.
func (s *controller) trim(ctx context.Context, set *appsv1.StatefulSet, t templates, mine []*corev1.Pod) error {
	live := map[string]bool{t.current: true, t.update: true}
	for _, p := range mine {
		live[p.Labels[appsv1.StatefulSetRevisionLabel]] = true
	}
	return s.history.Trim(ctx, t.history, int(*set.Spec.RevisionHistoryLimit), func(name string) bool { return live[name] })
}
