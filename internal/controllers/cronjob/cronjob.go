// Package cronjob makes a Job whenever the schedule of a CronJob says so.
//
// A Job is named by the minute that it is for, so that none is made twice. schedule.go (pure) finds the time that is due and the
// next one; the controller sleeps until then. Rules are upstream's: time zones, starting deadline, concurrency policy,
// suspension, history limits.
package cronjob

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
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

type controller struct {
	c      *client.Client
	crons  *client.View[*batchv1.CronJob]
	jobs   *client.View[*batchv1.Job]
	events *client.Recorder
}

const ownerIndex = "controller-uid"

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	cj := &controller{c: vs.Client(), crons: client.ViewOf(vs, client.CronJobs), jobs: client.ViewOf(vs, client.Jobs), events: events}
	cj.jobs.Index(ownerIndex, func(j *batchv1.Job) []string {
		if ref := metav1.GetControllerOf(j); ref != nil {
			return []string{string(ref.UID)}
		}
		return nil
	})
	return control.Controller{
		Name: "cronjob", Workers: 2, Sources: []control.Source{control.Self(cj.crons), control.On(cj.jobs, ofJob)},
		Writes: []string{"cronjobs.batch/status", "jobs.batch:cronjob"}, Reconcile: cj.reconcile,
	}
}

func ofJob(old, new *batchv1.Job) (keys []control.Key) {
	for _, j := range []*batchv1.Job{old, new} {
		if j == nil {
			continue
		}
		if ref := metav1.GetControllerOf(j); ref != nil && ref.Kind == "CronJob" {
			keys = append(keys, control.Key{Namespace: j.Namespace, Name: ref.Name})
		}
	}
	return keys
}

func (c *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	cron, ok := c.crons.Get(k.Namespace, k.Name)
	if !ok {
		return control.Result{}, nil
	}
	cron = cron.DeepCopy()
	was := *cron.Status.DeepCopy()
	mine := c.jobs.ByIndex(ownerIndex, string(cron.UID))
	c.follow(cron, mine)
	var after time.Duration
	var failure error
	if cron.DeletionTimestamp == nil {
		failure = c.trim(ctx, cron, mine)
		var err error
		after, err = c.schedule(ctx, cron, time.Now())
		failure = errors.Join(failure, err)
	}
	if !equality.Semantic.DeepEqual(was, cron.Status) {
		got, err := client.Of(c.c, client.CronJobs).UpdateStatus(ctx, cron)
		if apierrors.IsNotFound(err) {
			return control.Result{}, nil
		}
		if err != nil {
			return control.Result{}, errors.Join(failure, fmt.Errorf("write status: %w", err))
		}
		if err := c.crons.WaitFor(ctx, got.ResourceVersion); err != nil {
			return control.Result{}, err
		}
	}
	return control.Result{After: after}, failure
}

// follow brings the list of active Jobs up to date with what has become of them.
func (c *controller) follow(cron *batchv1.CronJob, mine []*batchv1.Job) {
	there := map[types.UID]bool{}
	for _, j := range mine {
		there[j.UID] = true
		i := slices.IndexFunc(cron.Status.Active, func(r corev1.ObjectReference) bool { return r.UID == j.UID })
		how, done := finished(j)
		if done && i >= 0 {
			cron.Status.Active = slices.Delete(cron.Status.Active, i, i+1)
			c.events.Event(cron, corev1.EventTypeNormal, "SawCompletedJob", "Saw completed job: %s, condition: %v", j.Name, how)
		}
		if !done && i < 0 && j.DeletionTimestamp == nil {
			cron.Status.Active = append(cron.Status.Active, reference(j)) // its making was cut off before it was noted
		}
		if t := j.Status.CompletionTime; how == batchv1.JobComplete && t != nil && (cron.Status.LastSuccessfulTime == nil || cron.Status.LastSuccessfulTime.Before(t)) {
			cron.Status.LastSuccessfulTime = t
		}
	}
	cron.Status.Active = slices.DeleteFunc(cron.Status.Active, func(r corev1.ObjectReference) bool {
		if !there[r.UID] {
			c.events.Event(cron, corev1.EventTypeNormal, "MissingJob", "Active job went missing: %v", r.Name)
		}
		return !there[r.UID]
	})
}

// schedule makes the Job that is due, and returns how long it is to the next.
func (c *controller) schedule(ctx context.Context, cron *batchv1.CronJob, now time.Time) (time.Duration, error) {
	if cron.Spec.Suspend != nil && *cron.Spec.Suspend {
		return 0, nil
	}
	plan, err := parse(cron)
	if err != nil {
		c.events.Event(cron, corev1.EventTypeWarning, "UnParseableCronJobSchedule", "unparseable schedule: %q : %s", cron.Spec.Schedule, err)
		return 0, nil // a change of the object wakes us
	}
	next := plan.Next(now).Sub(now) + 100*time.Millisecond
	due, missed := due(plan, since(cron, now), now)
	if due.IsZero() || cron.Status.LastScheduleTime != nil && !due.After(cron.Status.LastScheduleTime.Time) {
		return next, nil
	}
	if missed > tooMany {
		c.events.Event(cron, corev1.EventTypeWarning, "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
	}
	if d := cron.Spec.StartingDeadlineSeconds; d != nil && due.Add(time.Duration(*d)*time.Second).Before(now) {
		c.events.Event(cron, corev1.EventTypeWarning, "MissSchedule", "Missed scheduled time to start a job: %s", due.UTC().Format(time.RFC1123Z))
		return next, nil
	}
	switch {
	case cron.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && len(cron.Status.Active) > 0:
		c.events.Event(cron, corev1.EventTypeNormal, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		return next, nil
	case cron.Spec.ConcurrencyPolicy == batchv1.ReplaceConcurrent:
		for _, r := range slices.Clone(cron.Status.Active) {
			if err := c.remove(ctx, cron, r.Name); err != nil {
				return 0, err
			}
			cron.Status.Active = slices.DeleteFunc(cron.Status.Active, func(o corev1.ObjectReference) bool { return o.UID == r.UID })
		}
	}
	return next, c.start(ctx, cron, due)
}

// start makes the Job for a time.
func (c *controller) start(ctx context.Context, cron *batchv1.CronJob, due time.Time) error {
	job, err := client.Of(c.c, client.Jobs).Create(ctx, newJob(cron, due))
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case apierrors.IsAlreadyExists(err):
		have, err := client.Of(c.c, client.Jobs).Get(ctx, cron.Namespace, jobName(cron, due))
		if err != nil {
			return err
		}
		if !metav1.IsControlledBy(have, cron) {
			return fmt.Errorf("job %s is not of this CronJob", have.Name)
		}
		cron.Status.LastScheduleTime = &metav1.Time{Time: due} // made before, noted now
		return c.jobs.WaitFor(ctx, have.ResourceVersion)
	case err != nil:
		c.events.Event(cron, corev1.EventTypeWarning, "FailedCreate", "Error creating job: %v", err)
		return fmt.Errorf("create job: %w", err)
	}
	c.events.Event(cron, corev1.EventTypeNormal, "SuccessfulCreate", "Created job %v", job.Name)
	cron.Status.Active = append(cron.Status.Active, reference(job))
	cron.Status.LastScheduleTime = &metav1.Time{Time: due}
	return c.jobs.WaitFor(ctx, job.ResourceVersion)
}

func (c *controller) remove(ctx context.Context, cron *batchv1.CronJob, name string) error {
	background := metav1.DeletePropagationBackground
	err := client.Of(c.c, client.Jobs).Delete(ctx, cron.Namespace, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.events.Event(cron, corev1.EventTypeWarning, "FailedDelete", "Deleted job: %v", err)
		return fmt.Errorf("delete job %s: %w", name, err)
	}
	c.events.Event(cron, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted job %v", name)
	return nil
}

// trim removes the oldest Jobs beyond the history limits.
func (c *controller) trim(ctx context.Context, cron *batchv1.CronJob, mine []*batchv1.Job) error {
	var good, bad []*batchv1.Job
	for _, j := range mine {
		switch how, _ := finished(j); {
		case j.DeletionTimestamp != nil:
		case how == batchv1.JobComplete:
			good = append(good, j)
		case how == batchv1.JobFailed:
			bad = append(bad, j)
		}
	}
	var errs []error
	for _, h := range []struct {
		list  []*batchv1.Job
		limit *int32
	}{{good, cron.Spec.SuccessfulJobsHistoryLimit}, {bad, cron.Spec.FailedJobsHistoryLimit}} {
		if h.limit == nil {
			continue
		}
		slices.SortFunc(h.list, byStart)
		for _, j := range h.list[:max(len(h.list)-int(*h.limit), 0)] {
			errs = append(errs, c.remove(ctx, cron, j.Name))
		}
	}
	return errors.Join(errs...)
}
