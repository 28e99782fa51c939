package api

import (
	"time"

	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/kubernetes/pkg/apis/scheduling"
	"k8s.io/kubernetes/pkg/apis/scheduling/validation"
)

func priorityClass() kind {
	return kind{
		group: "scheduling.k8s.io",
		name:  "PriorityClass", plural: "priorityclasses",
		short:   []string{"pc"},
		cluster: true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(p *scheduling.PriorityClass) { p.Generation = 1 }),
			Validate:         valid(validation.ValidatePriorityClass),
			ValidateUpdate:   validUpdate(validation.ValidatePriorityClassUpdate),
		},
		columns: table("Name", "Value#", "Global-Default?", "Age", "PreemptionPolicy"),
		row: typed(func(p *schedulingv1.PriorityClass, now time.Time) []any {
			return []any{p.Name, int64(p.Value), p.GlobalDefault, age(p.CreationTimestamp, now), string(deref(p.PreemptionPolicy))}
		}),
	}
}
