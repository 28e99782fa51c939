// Package deployment rolls ReplicaSets so that each Deployment's template runs with the replicas it asks for.
//
// makePlan (pure) looks at a Deployment and its ReplicaSets and names at most one round of changes: which ReplicaSet to
// create, how far each may be scaled now, what to clean up, and the status. The ReplicaSet controller does the rest, and
// its status wakes the next round. Rules are upstream's: maxSurge, maxUnavailable, Recreate, pause, proportional
// scaling, revision history, progress deadline.
package deployment

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
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/adoption"
	"minato.dev/minato/internal/controllers/pods"
)

type controller struct {
	c           *client.Client
	deployments *client.View[*appsv1.Deployment]
	sets        *client.View[*appsv1.ReplicaSet]
	pods        *client.View[*corev1.Pod]
	mayAdopt    adoption.Check
	events      *client.Recorder
}

const ownerIndex = "controller-uid"

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	d := &controller{c: vs.Client(), deployments: client.ViewOf(vs, client.Deployments), sets: client.ViewOf(vs, client.ReplicaSets),
		pods: client.ViewOf(vs, client.Pods), mayAdopt: adoption.Of(vs.Client(), client.Deployments), events: events}
	d.sets.Index(ownerIndex, func(rs *appsv1.ReplicaSet) []string { return []string{string(pods.ControllerUID(rs))} })
	pods.IndexByOwner(d.pods)
	return control.Controller{
		Name: "deployment", Workers: 4,
		Sources:   []control.Source{control.Self(d.deployments), control.On(d.sets, d.ofSet), control.On(d.pods, d.ofPod)},
		Writes:    []string{"deployments.apps/status", "replicasets.apps:deployment"},
		Reconcile: d.reconcile,
	}
}

func (d *controller) ofSet(old, new *appsv1.ReplicaSet) (keys []control.Key) {
	for _, rs := range []*appsv1.ReplicaSet{old, new} {
		if rs == nil {
			continue
		}
		if ref := metav1.GetControllerOf(rs); ref != nil {
			if ref.Kind == "Deployment" {
				keys = append(keys, control.Key{Namespace: rs.Namespace, Name: ref.Name})
			}
			continue
		}
		for _, dep := range d.deployments.List(rs.Namespace, nil) {
			if sel, err := metav1.LabelSelectorAsSelector(dep.Spec.Selector); err == nil && sel.Matches(labels.Set(rs.Labels)) {
				keys = append(keys, control.Key{Namespace: dep.Namespace, Name: dep.Name})
			}
		}
	}
	return keys
}

// ofPod wakes a Recreate deployment when the last pod of its old ReplicaSet is gone.
func (d *controller) ofPod(old, new *corev1.Pod) []control.Key {
	if new != nil && !pods.Ended(new) || old == nil {
		return nil
	}
	ref := metav1.GetControllerOf(old)
	if ref == nil || ref.Kind != "ReplicaSet" {
		return nil
	}
	rs, ok := d.sets.Get(old.Namespace, ref.Name)
	if !ok {
		return nil
	}
	return d.ofSet(nil, rs)
}

func (d *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	dep, ok := d.deployments.Get(k.Namespace, k.Name)
	if !ok {
		return control.Result{}, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(dep.Spec.Selector)
	if err != nil {
		return control.Result{}, fmt.Errorf("selector: %w", err)
	}
	owned, err := d.owned(ctx, dep, sel)
	if err != nil {
		return control.Result{}, err
	}
	p := makePlan(dep, owned, d.podsLeft, time.Now())
	failure := d.act(ctx, dep, p)
	if errors.Is(failure, errCollision) {
		return control.Result{}, nil
	}
	if failure != nil && !apierrors.IsConflict(failure) {
		p.status = withFailure(p.status, failure, time.Now())
	}
	latest, ok := d.deployments.Get(k.Namespace, k.Name) // act may have noted a revision on it
	if ok && latest.UID == dep.UID && !equality.Semantic.DeepEqual(p.status, latest.Status) {
		changed := latest.DeepCopy()
		changed.Status = p.status
		if _, err := client.Of(d.c, client.Deployments).UpdateStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
			return control.Result{}, errors.Join(failure, fmt.Errorf("write status: %w", err))
		}
	}
	return control.Result{After: p.lookAgain}, failure
}

// owned returns the ReplicaSets of dep, adopting matching orphans.
func (d *controller) owned(ctx context.Context, dep *appsv1.Deployment, sel labels.Selector) ([]*appsv1.ReplicaSet, error) {
	list := d.sets.ByIndex(ownerIndex, string(dep.UID))
	if dep.DeletionTimestamp != nil {
		return list, nil
	}
	for _, rs := range d.sets.ByIndex(ownerIndex, "") {
		if rs.Namespace != dep.Namespace || rs.DeletionTimestamp != nil || !sel.Matches(labels.Set(rs.Labels)) {
			continue
		}
		if err := d.mayAdopt(ctx, dep); err != nil {
			return nil, err
		}
		ref := metav1.NewControllerRef(dep, appsv1.SchemeGroupVersion.WithKind("Deployment"))
		patch := fmt.Sprintf(`{"metadata":{"uid":%q,"ownerReferences":[{"apiVersion":%q,"kind":%q,"name":%q,"uid":%q,"controller":true,"blockOwnerDeletion":true}]}}`,
			rs.UID, ref.APIVersion, ref.Kind, ref.Name, ref.UID)
		adopted, err := client.Of(d.c, client.ReplicaSets).Patch(ctx, rs.Namespace, rs.Name, types.StrategicMergePatchType, []byte(patch))
		if err != nil {
			return nil, fmt.Errorf("adopt ReplicaSet %s: %w", rs.Name, err)
		}
		list = append(list, adopted)
	}
	return list, nil
}

// podsLeft counts the pods of rs that may still run something.
func (d *controller) podsLeft(rs *appsv1.ReplicaSet) (n int) {
	for _, p := range d.pods.ByIndex(pods.OwnerIndex, string(rs.UID)) {
		if !pods.Ended(p) {
			n++
		}
	}
	return n
}
