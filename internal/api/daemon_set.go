package api

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/apps/validation"
)

func daemonSet() kind {
	return kind{
		group: "apps",
		name:  "DaemonSet", plural: "daemonsets",
		short:    []string{"ds"},
		category: "all",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(d, old *apps.DaemonSet) { d.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateDaemonSetStatusUpdate),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(d *apps.DaemonSet) {
				d.Status = apps.DaemonSetStatus{}
				d.Generation = 1
				d.Spec.TemplateGeneration = max(d.Spec.TemplateGeneration, 1)
				podutil.DropDisabledTemplateFields(&d.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(updateDaemonSet),
			Validate: valid(func(d *apps.DaemonSet) field.ErrorList {
				return validation.ValidateDaemonSet(d, podutil.GetValidationOptionsFromPodTemplate(&d.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(func(d, old *apps.DaemonSet) field.ErrorList {
				o := podutil.GetValidationOptionsFromPodTemplate(&d.Spec.Template, &old.Spec.Template)
				o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || metavalidation.LabelSelectorHasInvalidLabelValue(old.Spec.Selector)
				return validation.ValidateDaemonSetUpdate(d, old, o)
			}),
			Warnings:    warn(daemonSetWarnings),
			ResetFields: statusField,
		},
		columns: table("Name", "Desired#", "Current#", "Ready#", "Up-to-date#", "Available#", "Node Selector", "Age", "Containers+", "Images+", "Selector+"),
		row: typed(func(d *appsv1.DaemonSet, now time.Time) []any {
			names, images := containerCells(d.Spec.Template.Spec.Containers)
			s := d.Status
			return []any{
				d.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady),
				int64(s.UpdatedNumberScheduled), int64(s.NumberAvailable), labelsCell(d.Spec.Template.Spec.NodeSelector),
				age(d.CreationTimestamp, now), names, images, selectorCell(d.Spec.Selector),
			}
		}),
	}
}

// updateDaemonSet counts changes of the template apart from those of the rest.
func updateDaemonSet(d, old *apps.DaemonSet) {
	podutil.DropDisabledTemplateFields(&d.Spec.Template, &old.Spec.Template)
	d.Status = old.Status
	d.Spec.TemplateGeneration = old.Spec.TemplateGeneration
	if !sameValue(d.Spec.Template, old.Spec.Template) {
		d.Spec.TemplateGeneration++
	}
	bump(d, old, d.Spec, old.Spec)
}

func daemonSetWarnings(ctx context.Context, d, old *apps.DaemonSet) []string {
	path := field.NewPath("spec", "template")
	if old == nil {
		return podutil.GetWarningsForPodTemplate(ctx, path, &d.Spec.Template, nil)
	}
	if d.Spec.TemplateGeneration == old.Spec.TemplateGeneration {
		return nil
	}
	return podutil.GetWarningsForPodTemplate(ctx, path, &d.Spec.Template, &old.Spec.Template)
}
