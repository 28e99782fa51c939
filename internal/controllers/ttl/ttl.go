// Package ttl removes Jobs some time after they have come to their end, where they ask for it (ttlSecondsAfterFinished).
package ttl

import (
	"context"
	"log/slog"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	c, jobs := vs.Client(), client.ViewOf(vs, client.Jobs)
	return control.Controller{
		Name: "ttl-after-finished", Sources: []control.Source{control.Self(jobs)}, Writes: []string{"jobs.batch:ttl"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			job, ok := jobs.Get(k.Namespace, k.Name)
			if !ok || job.DeletionTimestamp != nil {
				return control.Result{}, nil
			}
			left, ends := left(job, time.Now())
			if !ends || left > 0 {
				return control.Result{After: left}, nil
			}
			// The view may lag behind a change of the time to live, so that the removal holds for this version only.
			foreground := metav1.DeletePropagationForeground
			err := client.Of(c, client.Jobs).Delete(ctx, job.Namespace, job.Name, metav1.DeleteOptions{PropagationPolicy: &foreground,
				Preconditions: &metav1.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion}})
			if apierrors.IsNotFound(err) {
				err = nil
			}
			return control.Result{}, err
		},
	}
}

// left is how long a finished Job may still stay; ends is false where it may for ever.
func left(job *batchv1.Job, now time.Time) (d time.Duration, ends bool) {
	if job.Spec.TTLSecondsAfterFinished == nil {
		return 0, false
	}
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return time.Duration(*job.Spec.TTLSecondsAfterFinished)*time.Second - now.Sub(c.LastTransitionTime.Time), true
		}
	}
	return 0, false
}
