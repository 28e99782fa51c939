package cronjob

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// tooMany missed times are told of: the clock or the deadline may be wrong.
const tooMany = 100

// parse reads the schedule in its time zone.
func parse(c *batchv1.CronJob) (cron.Schedule, error) {
	text := c.Spec.Schedule
	if tz := c.Spec.TimeZone; tz != nil && !strings.Contains(text, "TZ") {
		if _, err := time.LoadLocation(*tz); err != nil {
			return nil, err
		}
		text = fmt.Sprintf("TZ=%s %s", *tz, text)
	}
	return cron.ParseStandard(text)
}

// since is the time after which a run can be due: the last one, or the making of the CronJob, and none before its deadline.
func since(c *batchv1.CronJob, now time.Time) time.Time {
	t := c.CreationTimestamp.Time
	if c.Status.LastScheduleTime != nil {
		t = c.Status.LastScheduleTime.Time
	}
	if d := c.Spec.StartingDeadlineSeconds; d != nil {
		if first := now.Add(-time.Duration(*d) * time.Second); first.After(t) {
			t = first
		}
	}
	return t
}

// due is the last time of the schedule after since and not after now, zero where there is none; missed is how many there were,
// of which no more than tooMany+1 are counted.
func due(s cron.Schedule, since, now time.Time) (last time.Time, missed int) {
	for t := s.Next(since); !t.IsZero() && !t.After(now); t = s.Next(t) {
		last = t
		if missed++; missed > tooMany {
			return latest(s, since, now), missed
		}
	}
	return last, missed
}

// latest looks back from now in steps that double, until there is a time of the schedule in between.
func latest(s cron.Schedule, since, now time.Time) (last time.Time) {
	for back := time.Minute; ; back *= 2 {
		from := now.Add(-back)
		if from.Before(since) {
			from = since
		}
		for t := s.Next(from); !t.IsZero() && !t.After(now); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() || !from.After(since) {
			return last
		}
	}
}

// jobName names the Job for a time by its minute, so that there can be only one.
func jobName(c *batchv1.CronJob, due time.Time) string {
	return fmt.Sprintf("%s-%d", c.Name, due.Unix()/60)
}

func newJob(c *batchv1.CronJob, due time.Time) *batchv1.Job {
	t := c.Spec.JobTemplate.DeepCopy()
	annotations := map[string]string{}
	maps.Copy(annotations, t.Annotations)
	stamp := due
	if tz := c.Spec.TimeZone; tz != nil {
		if l, err := time.LoadLocation(*tz); err == nil {
			stamp = due.In(l)
		}
	}
	annotations[batchv1.CronJobScheduledTimestampAnnotation] = stamp.Format(time.RFC3339)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: jobName(c, due), Labels: t.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, client.CronJobs.GVK())}},
		Spec: t.Spec,
	}
}

func reference(j *batchv1.Job) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion}
}

// finished says how a Job has come to its end.
func finished(j *batchv1.Job) (batchv1.JobConditionType, bool) {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.Type, true
		}
	}
	return "", false
}

// byStart orders Jobs by when they began; those that never did come last.
func byStart(a, b *batchv1.Job) int {
	switch x, y := a.Status.StartTime, b.Status.StartTime; {
	case x == nil && y == nil:
	case x == nil:
		return 1
	case y == nil:
		return -1
	case !x.Equal(y):
		return x.Compare(y.Time)
	}
	return cmp.Compare(a.Name, b.Name)
}
