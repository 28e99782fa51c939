// Package job runs the pods of each Job until enough of them have succeeded.
//
// A pod carries a finalizer until it is counted, so that none is counted twice and none is missed: its UID is written into the
// status first, then the finalizer goes, then the number in the status takes its place. tally.go (pure) counts, decide.go (pure)
// says whether the Job is over and how many pods it wants, indexes.go keeps the sets of an Indexed Job, policy.go judges by
// podFailurePolicy and successPolicy. Rules are upstream's (KEPs 2307, 2214, 3329, 3850, 3939, 3998).
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/podcontrol"
	"minato.dev/minato/internal/controllers/pods"
)

type controller struct {
	c      *client.Client
	jobs   *client.View[*batchv1.Job]
	pods   *podcontrol.Control
	events *client.Recorder
}

// trackedIndex is the index of pods that wait to be counted, by "namespace/name" of their Job; orphans by "namespace/".
const trackedIndex = "tracked-by-job"

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	j := &controller{c: vs.Client(), jobs: client.ViewOf(vs, client.Jobs), pods: podcontrol.New(vs, events, client.Jobs), events: events}
	j.pods.Finalizer = batchv1.JobTrackingFinalizer
	j.pods.Pods.Index(trackedIndex, func(p *corev1.Pod) []string {
		switch ref := metav1.GetControllerOf(p); {
		case !tracked(p):
		case ref == nil:
			return []string{p.Namespace + "/"}
		case ref.Kind == "Job":
			return []string{p.Namespace + "/" + ref.Name}
		}
		return nil
	})
	return control.Controller{
		Name: "job", Workers: 4,
		Sources:   []control.Source{control.Self(j.jobs), control.On(j.pods.Pods, j.ofPod)},
		Writes:    []string{"jobs.batch/status", "pods:job"},
		Reconcile: j.reconcile,
	}
}

func tracked(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) }

func (j *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	ns, names := j.pods.Owners(old, new, j.matching)
	for _, n := range names {
		keys = append(keys, control.Key{Namespace: ns, Name: n})
	}
	if new != nil && tracked(new) && metav1.GetControllerOf(new) == nil {
		keys = append(keys, control.Key{Namespace: ns}) // for letGo
	}
	return keys
}

// matching names the Jobs whose selector fits.
func (j *controller) matching(ns string, l labels.Set) (names []string) {
	for _, job := range j.jobs.List(ns, nil) {
		if sel, err := metav1.LabelSelectorAsSelector(job.Spec.Selector); err == nil && sel.Matches(l) {
			names = append(names, job.Name)
		}
	}
	return names
}

func (j *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	job, ok := j.jobs.Get(k.Namespace, k.Name)
	var uid types.UID
	if ok {
		uid = job.UID
	}
	if err := j.letGo(ctx, k, uid); err != nil || !ok {
		return control.Result{}, err
	}
	if m := job.Spec.ManagedBy; m != nil && *m != batchv1.JobControllerName {
		return control.Result{}, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
	if err != nil {
		return control.Result{}, fmt.Errorf("selector: %w", err)
	}
	mine, err := j.pods.Claim(ctx, job, sel, podcontrol.All)
	if err != nil {
		return control.Result{}, err
	}
	if over(job) {
		return control.Result{}, j.release(ctx, mine)
	}
	now := time.Now()
	t := count(job, mine)
	d := decide(job, t, now)
	failure := j.act(ctx, job, t, d)
	if err := j.record(ctx, job, d); err != nil {
		return control.Result{}, errors.Join(failure, err)
	}
	if err := j.release(ctx, t.counted(d)); err != nil {
		return control.Result{}, errors.Join(failure, err)
	}
	return control.Result{After: d.lookAgain}, failure
}

// letGo takes the finalizer off pods whose Job is gone, or another by now, and off orphans that no Job will adopt.
func (j *controller) letGo(ctx context.Context, k control.Key, uid types.UID) error {
	var list []*corev1.Pod
	for _, p := range j.pods.Pods.ByIndex(trackedIndex, k.Namespace+"/") {
		if !pods.Active(p) || len(j.matching(p.Namespace, p.Labels)) == 0 {
			list = append(list, p)
		}
	}
	for _, p := range j.pods.Pods.ByIndex(trackedIndex, k.Namespace+"/"+k.Name) {
		if ref := metav1.GetControllerOf(p); ref != nil && ref.UID != uid {
			list = append(list, p)
		}
	}
	return j.release(ctx, list)
}

// release takes the finalizer off pods.
func (j *controller) release(ctx context.Context, list []*corev1.Pod) error {
	list = slices.DeleteFunc(slices.Clone(list), func(p *corev1.Pod) bool { return !tracked(p) })
	return podcontrol.Each(ctx, len(list), func(ctx context.Context, i int) error {
		p := list[i]
		patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"$deleteFromPrimitiveList/finalizers":[%q]}}`, p.UID, batchv1.JobTrackingFinalizer)
		_, err := client.Of(j.c, client.Pods).Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, patch)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("let pod %s go: %w", p.Name, err)
		}
		return nil
	})
}

func (j *controller) act(ctx context.Context, job *batchv1.Job, t tally, d decision) error {
	if job.DeletionTimestamp != nil {
		return nil
	}
	if err := j.release(ctx, d.drop); err != nil { // first, so that they do not count as failures
		return err
	}
	if err := j.pods.Delete(ctx, job, slices.Concat(d.remove, d.drop)); err != nil {
		return err
	}
	var list []*corev1.Pod
	for range d.create {
		list = append(list, j.newPod(job))
	}
	for _, i := range d.createIndexes {
		list = append(list, j.indexedPod(job, t, i))
	}
	return j.pods.Create(ctx, job, list)
}

// record writes the status, and tells of what has changed in it.
func (j *controller) record(ctx context.Context, job *batchv1.Job, d decision) error {
	if equality.Semantic.DeepEqual(d.status, job.Status) {
		return nil
	}
	changed := job.DeepCopy()
	changed.Status = d.status
	got, err := client.Of(j.c, client.Jobs).UpdateStatus(ctx, changed)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	for _, e := range d.events {
		j.events.Event(job, e.kind, e.reason, "%s", e.message)
	}
	return j.jobs.WaitFor(ctx, got.ResourceVersion)
}

// over reports whether the Job has come to its end.
func over(job *batchv1.Job) bool {
	return isTrue(job.Status.Conditions, batchv1.JobComplete) || isTrue(job.Status.Conditions, batchv1.JobFailed)
}
