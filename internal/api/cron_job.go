package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	jobutil "k8s.io/kubernetes/pkg/api/job"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/batch/validation"
)

func cronJob() kind {
	return kind{
		group: "batch",
		name:  "CronJob", plural: "cronjobs",
		short:    []string{"cj"},
		category: "all",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(c, old *batch.CronJob) { c.Spec = old.Spec }),
				Declarative:      options("WorkloadWithJob"),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *batch.CronJob) {
				c.Status = batch.CronJobStatus{}
				c.Generation = 1
				jobutil.DropDisabledFields(&c.Spec.JobTemplate.Spec, nil)
				podutil.DropDisabledTemplateFields(&c.Spec.JobTemplate.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *batch.CronJob) {
				c.Status = old.Status
				jobutil.DropDisabledFields(&c.Spec.JobTemplate.Spec, &old.Spec.JobTemplate.Spec)
				podutil.DropDisabledTemplateFields(&c.Spec.JobTemplate.Spec.Template, &old.Spec.JobTemplate.Spec.Template)
				bump(c, old, c.Spec, old.Spec)
			}),
			Validate: valid(func(c *batch.CronJob) field.ErrorList {
				return validation.ValidateCronJobCreate(c, podutil.GetValidationOptionsFromPodTemplate(&c.Spec.JobTemplate.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(func(c, old *batch.CronJob) field.ErrorList {
				return validation.ValidateCronJobUpdate(c, old, podutil.GetValidationOptionsFromPodTemplate(&c.Spec.JobTemplate.Spec.Template, &old.Spec.JobTemplate.Spec.Template))
			}),
			Warnings:    warn(cronJobWarnings),
			Declarative: options("WorkloadWithJob"),
			ResetFields: statusField,
		},
		columns: table("Name", "Schedule", "Timezone", "Suspend?", "Active#", "Last Schedule", "Age", "Containers+", "Images+", "Selector+"),
		row: typed(func(c *batchv1.CronJob, now time.Time) []any {
			last := "<none>"
			if t := c.Status.LastScheduleTime; t != nil {
				last = age(*t, now)
			}
			names, images := containerCells(c.Spec.JobTemplate.Spec.Template.Spec.Containers)
			return []any{
				c.Name, c.Spec.Schedule, orElse(c.Spec.TimeZone, "<none>"), boolCell(c.Spec.Suspend), int64(len(c.Status.Active)),
				last, age(c.CreationTimestamp, now), names, images, selectorCell(c.Spec.JobTemplate.Spec.Selector),
			}
		}),
	}
}

func cronJobWarnings(ctx context.Context, c, old *batch.CronJob) []string {
	path := field.NewPath("spec", "jobTemplate", "spec")
	if old == nil {
		w := hostnameWarning(c.Name, "Pod names and hostnames")
		return append(w, jobutil.WarningsForJobSpec(ctx, path, &c.Spec.JobTemplate.Spec, nil)...)
	}
	var w []string
	if c.Generation != old.Generation {
		w = jobutil.WarningsForJobSpec(ctx, path, &c.Spec.JobTemplate.Spec, &old.Spec.JobTemplate.Spec)
	}
	if strings.Contains(c.Spec.Schedule, "TZ") {
		w = append(w, fmt.Sprintf("cannot use TZ or CRON_TZ in %s, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", field.NewPath("spec", "spec", "schedule")))
	}
	return w
}

// boolCell is "True", "False" or "<unset>".
func boolCell(b *bool) string {
	switch {
	case b == nil:
		return "<unset>"
	case *b:
		return "True"
	}
	return "False"
}
