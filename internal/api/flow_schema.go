package api

import (
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
)

func flowSchema() kind {
	return kind{
		group: "flowcontrol.apiserver.k8s.io",
		name:  "FlowSchema", plural: "flowschemas",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(f, old *flowcontrol.FlowSchema) {
					managed := f.ManagedFields
					f.ObjectMeta, f.Spec = old.ObjectMeta, old.Spec
					f.ManagedFields = managed
				}),
				ValidateUpdate: validUpdate(func(f, _ *flowcontrol.FlowSchema) field.ErrorList { return validFlowStatus(f) }),
				ResetFields:    []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(f *flowcontrol.FlowSchema) {
				f.Status = flowcontrol.FlowSchemaStatus{}
				f.Generation = 1
			}),
			PrepareForUpdate: prepareUpdate(func(f, old *flowcontrol.FlowSchema) {
				bump(f, old, f.Spec, old.Spec)
				f.Status = old.Status
			}),
			Validate:       valid(validFlow),
			ValidateUpdate: validUpdate(func(f, _ *flowcontrol.FlowSchema) field.ErrorList { return validFlow(f) }),
			ResetFields:    statusField,
		},
		columns: table("Name", "PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"),
		row: typed(func(f *flowcontrolv1.FlowSchema, now time.Time) []any {
			method, missing := "<none>", "?"
			if m := f.Spec.DistinguisherMethod; m != nil {
				method = string(m.Type)
			}
			for _, c := range f.Status.Conditions {
				if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
					missing = string(c.Status)
					break
				}
			}
			return []any{f.Name, f.Spec.PriorityLevelConfiguration.Name, int64(f.Spec.MatchingPrecedence), method, age(f.CreationTimestamp, now), missing}
		}),
	}
}
