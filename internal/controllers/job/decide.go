package job

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/controllers/pods"
)

// decision is what to do about one Job now.
type decision struct {
	create        int
	createIndexes []int
	remove        []*corev1.Pod // the Job is over; what is cut off counts as failed
	drop          []*corev1.Pod // too many; they do not count
	status        batchv1.JobStatus
	finishing     bool
	events        []event
	lookAgain     time.Duration
}

type event struct{ kind, reason, message string }

// A Job goes
//
//	running -> SuccessCriteriaMet or FailureTarget -> (no pod is left and all are counted) -> Complete or Failed
//
// and between running and Suspended as its spec says. decide is pure.
func decide(job *batchv1.Job, t tally, now time.Time) decision {
	d := decision{status: t.status}
	if job.DeletionTimestamp != nil {
		return d
	}
	suspended := job.Spec.Suspend != nil && *job.Spec.Suspend
	if d.status.StartTime == nil && !suspended {
		d.status.StartTime = &metav1.Time{Time: now}
	}
	target := goal(d.status.Conditions)
	if target == nil {
		target = end(job, t, &d, suspended, now)
	}
	switch {
	case target != nil:
		d.finish(t, *target, now)
	case suspended:
		d.suspend(t, now)
	default:
		d.resume(now)
		d.manage(job, t, now)
	}
	return d
}

// goal is the end that was decided on before.
func goal(conditions []batchv1.JobCondition) *batchv1.JobCondition {
	for i, c := range conditions {
		if (c.Type == batchv1.JobSuccessCriteriaMet || c.Type == batchv1.JobFailureTarget) && c.Status == corev1.ConditionTrue {
			return &conditions[i]
		}
	}
	return nil
}

func isTrue(conditions []batchv1.JobCondition, t batchv1.JobConditionType) bool {
	return slices.ContainsFunc(conditions, func(c batchv1.JobCondition) bool { return c.Type == t && c.Status == corev1.ConditionTrue })
}

// end finds out whether the Job is over by now, and when a deadline will come.
func end(job *batchv1.Job, t tally, d *decision, suspended bool, now time.Time) *batchv1.JobCondition {
	over := func(typ batchv1.JobConditionType, reason, message string) *batchv1.JobCondition {
		return &batchv1.JobCondition{Type: typ, Status: corev1.ConditionTrue, Reason: reason, Message: message}
	}
	s := job.Spec
	if t.failJob != "" {
		return over(batchv1.JobFailureTarget, batchv1.JobReasonPodFailurePolicy, t.failJob)
	}
	if t.failures() > *s.BackoffLimit || restartedTooOften(job, t.restarts) {
		return over(batchv1.JobFailureTarget, batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	}
	if s.ActiveDeadlineSeconds != nil && !suspended && d.status.StartTime != nil {
		left := time.Duration(*s.ActiveDeadlineSeconds)*time.Second - now.Sub(d.status.StartTime.Time)
		if left <= 0 {
			return over(batchv1.JobFailureTarget, batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
		}
		d.lookAgain = left
	}
	if indexed(job) {
		if message, ok := satisfied(s.SuccessPolicy, t.done, int(*s.Completions)); ok {
			return over(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, message)
		}
		switch {
		case s.MaxFailedIndexes != nil && len(t.lost) > int(*s.MaxFailedIndexes):
			return over(batchv1.JobFailureTarget, batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
		case len(t.lost) > 0 && len(t.lost)+len(t.done) >= int(*s.Completions):
			return over(batchv1.JobFailureTarget, batchv1.JobReasonFailedIndexes, "Job has failed indexes")
		}
	}
	enough := s.Completions == nil && t.succeeded() > 0 || s.Completions != nil && t.succeeded() >= *s.Completions
	if enough && len(t.active) == 0 {
		return over(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
	}
	return nil
}

// restartedTooOften holds the containers that the kubelet restarts against the limit.
func restartedTooOften(job *batchv1.Job, restarts int32) bool {
	if job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	if limit := *job.Spec.BackoffLimit; limit > 0 {
		return restarts >= limit
	}
	return restarts > 0
}

// finish ends what still runs; once nothing does and all is counted, the Job is Complete or Failed.
func (d *decision) finish(t tally, target batchv1.JobCondition, now time.Time) {
	d.finishing, d.remove = true, t.active
	d.set(target, now)
	u := d.status.UncountedTerminatedPods
	if len(t.active)+len(t.ending)+len(t.ended)+len(u.Succeeded)+len(u.Failed) > 0 {
		return
	}
	final := target
	final.Type = batchv1.JobFailed
	e := event{corev1.EventTypeWarning, target.Reason, target.Message}
	if target.Type == batchv1.JobSuccessCriteriaMet {
		final.Type = batchv1.JobComplete
		d.status.CompletionTime = &metav1.Time{Time: now}
		e = event{corev1.EventTypeNormal, "Completed", "Job completed"}
	}
	d.set(final, now)
	d.events = append(d.events, e)
}

func (d *decision) suspend(t tally, now time.Time) {
	d.drop = t.active
	d.status.StartTime = nil
	if d.set(batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, Reason: "JobSuspended", Message: "Job suspended"}, now) {
		d.events = append(d.events, event{corev1.EventTypeNormal, "Suspended", "Job suspended"})
	}
}

func (d *decision) resume(now time.Time) {
	if !isTrue(d.status.Conditions, batchv1.JobSuspended) {
		return
	}
	d.set(batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionFalse, Reason: "JobResumed", Message: "Job resumed"}, now)
	d.status.StartTime = &metav1.Time{Time: now}
	d.events = append(d.events, event{corev1.EventTypeNormal, "Resumed", "Job resumed"})
}

// set puts a condition into the status and reports whether that changed it.
func (d *decision) set(c batchv1.JobCondition, now time.Time) bool {
	i := slices.IndexFunc(d.status.Conditions, func(o batchv1.JobCondition) bool { return o.Type == c.Type })
	if i >= 0 && d.status.Conditions[i].Status == c.Status {
		return false
	}
	c.LastProbeTime, c.LastTransitionTime = metav1.Time{Time: now}, metav1.Time{Time: now}
	if i >= 0 {
		d.status.Conditions[i] = c
	} else {
		d.status.Conditions = append(d.status.Conditions, c)
	}
	return true
}

// manage makes as many pods run as the Job wants.
func (d *decision) manage(job *batchv1.Job, t tally, now time.Time) {
	want := *job.Spec.Parallelism
	if job.Spec.Completions != nil {
		want = min(want, *job.Spec.Completions-t.succeeded())
	} else if t.succeeded() > 0 {
		want = min(want, int32(len(t.active)))
	}
	keep := t.active
	if indexed(job) {
		keep, d.drop = t.useful(job)
	}
	if extra := len(keep) - int(max(want, 0)); extra > 0 {
		pods.RankForDeletion(keep)
		d.drop = append(d.drop, keep[:extra]...)
		return
	}
	room := int(want) - len(keep)
	if onlyFailed(job) {
		room -= len(t.ending)
	}
	room = min(room, 500)
	if indexed(job) {
		d.fill(job, t, keep, room, now)
		return
	}
	if room > 0 {
		if wait := t.backoff(now); wait > 0 {
			d.wait(wait)
			return
		}
		d.create = room
	}
}

// fill makes pods for the lowest indexes that have none.
func (d *decision) fill(job *batchv1.Job, t tally, keep []*corev1.Pod, room int, now time.Time) {
	holders := keep
	if onlyFailed(job) {
		holders = slices.Concat(keep, t.ending)
	}
	taken := slices.Clone(t.lost)
	for _, p := range holders {
		taken = append(taken, indexOf(p))
	}
	taken = t.done.with(taken...)
	perIndex := job.Spec.BackoffLimitPerIndex != nil
	if wait := t.backoff(now); wait > 0 && !perIndex && room > 0 {
		d.wait(wait)
		return
	}
	for i := 0; i < int(*job.Spec.Completions) && len(d.createIndexes) < room; i++ {
		if taken.has(i) {
			continue
		}
		if wait := t.backoffOf(i, now); perIndex && wait > 0 {
			d.wait(wait)
			continue
		}
		d.createIndexes = append(d.createIndexes, i)
	}
}

func (d *decision) wait(w time.Duration) {
	if d.lookAgain == 0 || w < d.lookAgain {
		d.lookAgain = w
	}
}

// useful parts the active pods into one for each index that is still wanted, and the rest.
func (t *tally) useful(job *batchv1.Job) (keep, rest []*corev1.Pod) {
	settled, seen := t.done.with(t.lost...), map[int]bool{}
	for _, p := range t.active {
		i := indexOf(p)
		if i < 0 || i >= int(*job.Spec.Completions) || settled.has(i) || seen[i] {
			rest = append(rest, p)
			continue
		}
		seen[i] = true
		keep = append(keep, p)
	}
	return keep, rest
}

// After a failure the next pod waits 10 s, doubled at each failure since the last success, at most 10 minutes.
const (
	firstWait = 10 * time.Second
	lastWait  = 10 * time.Minute
)

func (t *tally) backoff(now time.Time) time.Duration {
	n, last := 0, time.Time{}
	for _, f := range t.failed {
		if f.at.After(t.lastSuccess) {
			n, last = n+1, f.at
		}
	}
	return remaining(n, last, now)
}

func (t *tally) backoffOf(index int, now time.Time) time.Duration {
	f, ok := t.failuresOf[index]
	if !ok {
		return 0
	}
	return remaining(f.counted+f.ignored, finished(f.last), now)
}

func remaining(failures int, last, now time.Time) time.Duration {
	if failures == 0 {
		return 0
	}
	return max(min(firstWait<<min(failures-1, 10), lastWait)-now.Sub(last), 0)
}
