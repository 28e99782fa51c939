package api

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func podTemplate() kind {
	return kind{
		name: "PodTemplate", plural: "podtemplates",
		strategy: &Strategy{
			PrepareForCreate: prepare(func(t *core.PodTemplate) {
				t.Generation = 1
				podutil.DropDisabledTemplateFields(&t.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(t, old *core.PodTemplate) {
				podutil.DropDisabledTemplateFields(&t.Template, &old.Template)
				bump(t, old, t.Template, old.Template)
			}),
			Validate: valid(func(t *core.PodTemplate) field.ErrorList {
				return validation.ValidatePodTemplate(t, podutil.GetValidationOptionsFromPodTemplate(&t.Template, nil))
			}),
			ValidateUpdate: validUpdate(func(t, old *core.PodTemplate) field.ErrorList {
				return validation.ValidatePodTemplateUpdate(t, old, podutil.GetValidationOptionsFromPodTemplate(&t.Template, &old.Template))
			}),
			Warnings: warn(func(ctx context.Context, t, old *core.PodTemplate) []string {
				if old == nil {
					return podutil.GetWarningsForPodTemplate(ctx, field.NewPath("template"), &t.Template, nil)
				}
				if t.Generation == old.Generation {
					return nil
				}
				return podutil.GetWarningsForPodTemplate(ctx, field.NewPath("template"), &t.Template, &old.Template)
			}),
		},
		returnsDeleted: true,
		columns:        table("Name", "Containers", "Images", "Pod Labels"),
		row: typed(func(t *corev1.PodTemplate, _ time.Time) []any {
			names, images := containerCells(t.Template.Spec.Containers)
			return []any{t.Name, names, images, labelsCell(t.Template.Labels)}
		}),
	}
}
