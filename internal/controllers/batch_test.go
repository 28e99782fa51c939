package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// ending are the images whose container ends at once, with its code.
var ending = map[string]int{"ok": 0, "fails": 1, "refuses": 42}

// end plays a pod whose container ended.
func (h *harbour) end(ctx context.Context, p *corev1.Pod, code int) {
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Sprintf(`{"status":{"phase":%q,"containerStatuses":[{"name":"c","image":"x","imageID":"x","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":%d,"finishedAt":%q}}}]}}`, phase, code, now)
	if _, err := client.Of(h.c, client.Pods).Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, []byte(patch), "status"); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		h.Errorf("agent: %v", err)
	}
}

func batch(image string, change func(*batchv1.JobSpec)) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "sum"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: image}}}}}}
	if change != nil {
		change(&job.Spec)
	}
	return job
}

// ended waits for a Job's end and returns it with the reason.
func (h *harbour) ended(want batchv1.JobConditionType) (job *batchv1.Job, reason string) {
	h.Helper()
	h.until("the job ends", func() (bool, string) {
		var err error
		job, err = client.Of(h.c, client.Jobs).Get(h.Context(), "default", "sum")
		h.must(err)
		for _, c := range job.Status.Conditions {
			if c.Type == want && c.Status == corev1.ConditionTrue {
				reason = c.Reason
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", job.Status)
	})
	return job, reason
}

func TestJobsComeToTheirEnd(t *testing.T) {
	two, three, mode := int32(2), int32(3), batchv1.IndexedCompletion
	none := int32(0)
	rules := func(a batchv1.PodFailurePolicyAction) *batchv1.PodFailurePolicy {
		return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: a, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42}}}}}
	}
	for _, c := range []struct {
		name, image string
		change      func(*batchv1.JobSpec)
		end         batchv1.JobConditionType
		reason      string
		good, bad   int32
		done        string
	}{
		{"once", "ok", nil, batchv1.JobComplete, "CompletionsReached", 1, 0, ""},
		{"three times", "ok", func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = &three, &two }, batchv1.JobComplete, "CompletionsReached", 3, 0, ""},
		{"a queue", "ok", func(s *batchv1.JobSpec) { s.Parallelism = &two }, batchv1.JobComplete, "CompletionsReached", 2, 0, ""},
		{"no second try", "fails", func(s *batchv1.JobSpec) { s.BackoffLimit = &none }, batchv1.JobFailed, "BackoffLimitExceeded", 0, 1, ""},
		{"indexed", "ok", func(s *batchv1.JobSpec) { s.Completions, s.Parallelism, s.CompletionMode = &three, &three, &mode }, batchv1.JobComplete, "CompletionsReached", 3, 0, "0-2"},
		{"an exit code that ends it", "refuses", func(s *batchv1.JobSpec) { s.PodFailurePolicy = rules(batchv1.PodFailurePolicyActionFailJob) }, batchv1.JobFailed, "PodFailurePolicy", 0, 1, ""},
		{"an index that is given up", "refuses", func(s *batchv1.JobSpec) {
			s.Completions, s.Parallelism, s.CompletionMode, s.BackoffLimitPerIndex = &two, &two, &mode, &three
			s.PodFailurePolicy = rules(batchv1.PodFailurePolicyActionFailIndex)
		}, batchv1.JobFailed, "FailedIndexes", 0, 2, ""},
		{"enough is enough", "ok", func(s *batchv1.JobSpec) {
			s.Completions, s.Parallelism, s.CompletionMode = &three, &two, &mode
			first := "0"
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: &first}}}
		}, batchv1.JobComplete, "SuccessPolicy", -1, -1, "-"},
		{"a deadline", "runs", func(s *batchv1.JobSpec) {
			soon := int64(2)
			s.ActiveDeadlineSeconds = &soon /* whole seconds: the first may be over at once */
		}, batchv1.JobFailed, "DeadlineExceeded", 0, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			_, err := client.Of(h.c, client.Jobs).Create(t.Context(), batch(c.image, c.change))
			h.must(err)
			job, reason := h.ended(c.end)
			st := job.Status
			if reason != c.reason || c.good >= 0 && (st.Succeeded != c.good || st.Failed != c.bad || st.CompletedIndexes != c.done) {
				t.Errorf("%s, %d succeeded, %d failed, indexes %q", reason, st.Succeeded, st.Failed, st.CompletedIndexes)
			}
			if st.Active != 0 || len(st.UncountedTerminatedPods.Failed)+len(st.UncountedTerminatedPods.Succeeded) != 0 {
				t.Errorf("status %+v", st)
			}
			h.until("no pod is held", func() (bool, string) {
				for _, p := range h.pods() {
					if slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) {
						return false, p.Name
					}
				}
				return true, ""
			})
			background := metav1.DeletePropagationBackground
			h.must(client.Of(h.c, client.Jobs).Delete(t.Context(), "default", "sum", metav1.DeleteOptions{PropagationPolicy: &background}))
			h.until("its pods are collected", func() (bool, string) { n := len(h.pods()); return n == 0, fmt.Sprint(n, " pods") })
		})
	}
}

func TestJobIsSuspendedResumedAndDeletedWhileItRuns(t *testing.T) {
	h := open(t)
	ctx, door := t.Context(), client.Of(h.c, client.Jobs)
	yes := true
	_, err := door.Create(ctx, batch("runs", func(s *batchv1.JobSpec) { s.Suspend = &yes }))
	h.must(err)
	active := func(n int32, suspended bool) func() (bool, string) {
		return func() (bool, string) {
			j, err := door.Get(ctx, "default", "sum")
			h.must(err)
			is := slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
				return c.Type == batchv1.JobSuspended && c.Status == corev1.ConditionTrue
			})
			return j.Status.Active == n && is == suspended && (j.Status.StartTime == nil) == suspended && j.Status.Failed == 0, fmt.Sprintf("%+v", j.Status)
		}
	}
	h.until("it is suspended", active(0, true))
	for _, suspend := range []bool{false, true, false} {
		_, err = door.Patch(ctx, "default", "sum", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"suspend":%v}}`, suspend))
		h.must(err)
		n := int32(1)
		if suspend {
			n = 0
		}
		h.until(fmt.Sprint("suspended is ", suspend), active(n, suspend))
	}
	background := metav1.DeletePropagationBackground
	h.must(door.Delete(ctx, "default", "sum", metav1.DeleteOptions{PropagationPolicy: &background}))
	h.until("its pods are collected", func() (bool, string) { n := len(h.pods()); return n == 0, fmt.Sprint(n, " pods") })
}

// A pod that the Job does not control keeps no finalizer of the Job: neither one that it released, nor one that it left behind.
func TestJobLeavesNoFinalizerBehind(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	pods := client.Of(h.c, client.Pods)
	_, err := client.Of(h.c, client.Jobs).Create(ctx, batch("runs", func(s *batchv1.JobSpec) { s.Parallelism, s.Completions = new(int32(2)), new(int32(2)) }))
	h.must(err)
	var mine []*corev1.Pod
	h.until("two pods run", func() (bool, string) {
		mine, _, err = pods.List(ctx, "default", metav1.ListOptions{LabelSelector: "job-name=sum"})
		h.must(err)
		return len(mine) == 2 && mine[0].Status.Phase == corev1.PodRunning && mine[1].Status.Phase == corev1.PodRunning, fmt.Sprint(len(mine))
	})
	free := func(name string) func() (bool, string) {
		return func() (bool, string) {
			p, err := pods.Get(ctx, "default", name)
			h.must(err)
			return len(p.OwnerReferences) == 0 && len(p.Finalizers) == 0, fmt.Sprintf("%+v", p.ObjectMeta)
		}
	}
	_, err = pods.Patch(ctx, "default", mine[0].Name, types.MergePatchType, []byte(`{"metadata":{"labels":null}}`))
	h.must(err)
	h.until("the pod that does not match is free", free(mine[0].Name))
	orphan := metav1.DeletePropagationOrphan
	h.must(client.Of(h.c, client.Jobs).Delete(ctx, "default", "sum", metav1.DeleteOptions{PropagationPolicy: &orphan}))
	h.until("the pod that is left behind is free", free(mine[1].Name))
}

func TestFinishedJobGoesAfterItsTime(t *testing.T) {
	h := open(t)
	zero := int32(0)
	_, err := client.Of(h.c, client.Jobs).Create(t.Context(), batch("ok", func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = &zero }))
	h.must(err)
	h.until("the job and its pod are gone", func() (bool, string) {
		_, err := client.Of(h.c, client.Jobs).Get(t.Context(), "default", "sum")
		return apierrors.IsNotFound(err) && len(h.pods()) == 0, fmt.Sprint(err, len(h.pods()))
	})
}

func TestCronJobMakesAJobThatIsDue(t *testing.T) {
	h := open(t)
	ctx, door := t.Context(), client.Of(h.c, client.CronJobs)
	job := batch("ok", nil)
	cron, err := door.Create(ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tick"},
		Spec: batchv1.CronJobSpec{Schedule: "@every 1s", JobTemplate: batchv1.JobTemplateSpec{Spec: job.Spec}}})
	h.must(err)
	h.until("a job ran and was noted", func() (bool, string) {
		got, err := door.Get(ctx, "default", "tick")
		h.must(err)
		return got.Status.LastScheduleTime != nil && got.Status.LastSuccessfulTime != nil && len(got.Status.Active) == 0, fmt.Sprintf("%+v", got.Status)
	})
	jobs, _, err := client.Of(h.c, client.Jobs).List(ctx, "default", metav1.ListOptions{})
	h.must(err)
	if len(jobs) == 0 || !metav1.IsControlledBy(jobs[0], cron) || jobs[0].Annotations[batchv1.CronJobScheduledTimestampAnnotation] == "" {
		t.Errorf("jobs %v", jobs)
	}
}
