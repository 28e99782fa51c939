package api

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/kubernetes/pkg/apis/coordination"
	"k8s.io/kubernetes/pkg/apis/coordination/validation"
)

func lease() kind {
	return kind{
		group: "coordination.k8s.io",
		name:  "Lease", plural: "leases",
		strategy: &Strategy{
			PrepareForCreate:       prepare(func(l *coordination.Lease) { dropLeaseFields(l, &coordination.Lease{}) }),
			PrepareForUpdate:       prepareUpdate(dropLeaseFields),
			Validate:               valid(validation.ValidateLease),
			ValidateUpdate:         validUpdate(validation.ValidateLeaseUpdate),
			AllowCreateOnUpdate:    true,
			RequireResourceVersion: true,
		},
		columns: table("Name", "Holder", "Age"),
		row: typed(func(l *coordinationv1.Lease, now time.Time) []any {
			return []any{l.Name, deref(l.Spec.HolderIdentity), age(l.CreationTimestamp, now)}
		}),
	}
}

func dropLeaseFields(l, old *coordination.Lease) {
	if gate("CoordinatedLeaderElection") {
		return
	}
	if old.Spec.Strategy == nil {
		l.Spec.Strategy = nil
	}
	if old.Spec.PreferredHolder == nil {
		l.Spec.PreferredHolder = nil
	}
}
