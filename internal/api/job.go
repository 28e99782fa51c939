package api

import (
	"context"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	jobutil "k8s.io/kubernetes/pkg/api/job"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/batch/validation"
)

func job() kind {
	return kind{
		group: "batch",
		name:  "Job", plural: "jobs",
		category: "all",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(j, old *batch.Job) { j.Spec = old.Spec }),
				ValidateUpdate: validUpdate(func(j, old *batch.Job) field.ErrorList {
					return validation.ValidateJobUpdateStatus(j, old, jobStatusOptions(j, old))
				}),
				Declarative: options("WorkloadWithJob"),
				ResetFields: specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(newJob),
			PrepareForUpdate: prepareUpdate(func(j, old *batch.Job) {
				j.Status = old.Status
				jobutil.DropDisabledFields(&j.Spec, &old.Spec)
				podutil.DropDisabledTemplateFields(&j.Spec.Template, &old.Spec.Template)
				bump(j, old, j.Spec, old.Spec)
			}),
			Validate: valid(func(j *batch.Job) field.ErrorList {
				return validation.ValidateJobCreate(j, validation.JobValidationOptions{
					PodValidationOptions:  podutil.GetValidationOptionsFromPodTemplate(&j.Spec.Template, nil),
					RequirePrefixedLabels: true,
				})
			}),
			ValidateUpdate: validUpdate(func(j, old *batch.Job) field.ErrorList {
				return validation.ValidateJobUpdate(j, old, jobOptions(j, old))
			}),
			Warnings:    warn(jobWarnings),
			Declarative: options("WorkloadWithJob"),
			Orphaning:   OrphanDependents,
			ResetFields: statusField,
		},
		fields: selectable(func(j *batchv1.Job) map[string]string {
			return map[string]string{"status.successful": strconv.Itoa(int(j.Status.Succeeded))}
		}),
		wire:    &wireMap{leaves: []wireLeaf{integer("status.successful", 3, 5)}},
		columns: table("Name", "Status", "Completions", "Duration", "Age", "Containers+", "Images+", "Selector+"),
		row:     typed(jobRow),
	}
}

func newJob(j *batch.Job) {
	if !deref(j.Spec.ManualSelector) {
		selectOwnPods(j)
	}
	j.Status = batch.JobStatus{}
	j.Generation = 1
	if !gate("JobManagedBy") {
		j.Spec.ManagedBy = nil
	}
	jobutil.DropDisabledFields(&j.Spec, nil)
	podutil.DropDisabledTemplateFields(&j.Spec.Template, nil)
}

// selectOwnPods labels the job's pods with its UID and selects them by it; what the user set stays, for validation to judge.
func selectOwnPods(j *batch.Job) {
	labels := j.Spec.Template.Labels
	if labels == nil {
		labels = map[string]string{}
		j.Spec.Template.Labels = labels
	}
	for key, value := range map[string]string{
		batch.LegacyJobNameLabel: j.Name, batch.JobNameLabel: j.Name,
		batch.LegacyControllerUidLabel: string(j.UID), batch.ControllerUidLabel: string(j.UID),
	} {
		setMissing(labels, key, value)
	}
	if j.Spec.Selector == nil {
		j.Spec.Selector = &metav1.LabelSelector{}
	}
	if j.Spec.Selector.MatchLabels == nil {
		j.Spec.Selector.MatchLabels = map[string]string{}
	}
	setMissing(j.Spec.Selector.MatchLabels, batch.ControllerUidLabel, string(j.UID))
}

func setMissing(m map[string]string, key, value string) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}

func jobWarnings(ctx context.Context, j, old *batch.Job) []string {
	if old == nil {
		w := hostnameWarning(j.Name, "Pod names and hostnames")
		return append(w, jobutil.WarningsForJobSpec(ctx, field.NewPath("spec"), &j.Spec, nil)...)
	}
	if j.Generation == old.Generation {
		return nil
	}
	return jobutil.WarningsForJobSpec(ctx, field.NewPath("spec"), &j.Spec, &old.Spec)
}

func jobRow(j *batchv1.Job, now time.Time) []any {
	names, images := containerCells(j.Spec.Template.Spec.Containers)
	return []any{
		j.Name, jobStatus(j), jobCompletions(j), jobDuration(j, now), age(j.CreationTimestamp, now),
		names, images, selectorCell(j.Spec.Selector),
	}
}

func jobCompletions(j *batchv1.Job) string {
	parallel := deref(j.Spec.Parallelism)
	switch {
	case j.Spec.Completions != nil:
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *j.Spec.Completions)
	case parallel > 1:
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, parallel)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func jobDuration(j *batchv1.Job, now time.Time) string {
	switch {
	case j.Status.StartTime == nil:
		return ""
	case j.Status.CompletionTime == nil:
		return duration.HumanDuration(now.Sub(j.Status.StartTime.Time))
	}
	return duration.HumanDuration(j.Status.CompletionTime.Sub(j.Status.StartTime.Time))
}

func jobStatus(j *batchv1.Job) string {
	is := map[batchv1.JobConditionType]bool{}
	for _, c := range j.Status.Conditions {
		is[c.Type] = c.Status == corev1.ConditionTrue
	}
	switch {
	case is[batchv1.JobComplete]:
		return "Complete"
	case is[batchv1.JobFailed]:
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case is[batchv1.JobSuspended]:
		return "Suspended"
	case is[batchv1.JobFailureTarget]:
		return "FailureTarget"
	case is[batchv1.JobSuccessCriteriaMet]:
		return "SuccessCriteriaMet"
	}
	return "Running"
}
