package api

import (
	"context"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
)

func priorityLevelConfiguration() kind {
	return kind{
		group: "flowcontrol.apiserver.k8s.io",
		name:  "PriorityLevelConfiguration", plural: "prioritylevelconfigurations",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(p, old *flowcontrol.PriorityLevelConfiguration) {
					managed := p.ManagedFields
					p.ObjectMeta, p.Spec = old.ObjectMeta, old.Spec
					p.ManagedFields = managed
				}),
				ValidateUpdate: validUpdate(func(p, _ *flowcontrol.PriorityLevelConfiguration) field.ErrorList { return validLevelStatus(p) }),
				ResetFields:    []string{"spec", "metadata"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(p *flowcontrol.PriorityLevelConfiguration) {
				p.Status = flowcontrol.PriorityLevelConfigurationStatus{}
				p.Generation = 1
			}),
			PrepareForUpdate: prepareUpdate(func(p, old *flowcontrol.PriorityLevelConfiguration) {
				bump(p, old, p.Spec, old.Spec)
				p.Status = old.Status
			}),
			Validate: validLevel,
			ValidateUpdate: func(ctx context.Context, r *Request, obj, _ Object) field.ErrorList {
				return validLevel(ctx, r, obj)
			},
			ResetFields: statusField,
		},
		columns: table("Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"),
		row: typed(func(p *flowcontrolv1.PriorityLevelConfiguration, now time.Time) []any {
			shares, queues, hand, limit := any("<none>"), any("<none>"), any("<none>"), any("<none>")
			if l := p.Spec.Limited; l != nil {
				shares = deref(l.NominalConcurrencyShares)
				if q := l.LimitResponse.Queuing; q != nil {
					queues, hand, limit = q.Queues, q.HandSize, q.QueueLengthLimit
				}
			}
			return []any{p.Name, string(p.Spec.Type), shares, queues, hand, limit, age(p.CreationTimestamp, now)}
		}),
	}
}
