package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func resourceQuota() kind {
	return kind{
		name: "ResourceQuota", plural: "resourcequotas",
		short: []string{"quota"},
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(q, old *core.ResourceQuota) { q.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateResourceQuotaStatusUpdate),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(q *core.ResourceQuota) { q.Status = core.ResourceQuotaStatus{} }),
			PrepareForUpdate: prepareUpdate(func(q, old *core.ResourceQuota) { q.Status = old.Status }),
			Validate:         valid(validation.ValidateResourceQuota),
			ValidateUpdate:   validUpdate(validation.ValidateResourceQuotaUpdate),
			Warnings:         warn(quotaWarnings),
			ResetFields:      statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "Request", "Limit", "Age"),
		row:            typed(quotaRow),
	}
}

// quotaWarnings tells of requests that may be larger than limits.
func quotaWarnings(_ context.Context, q, old *core.ResourceQuota) []string {
	if old != nil {
		return nil
	}
	var w []string
	for _, name := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory, core.ResourceStorage, core.ResourceEphemeralStorage} {
		asked := "requests." + name
		request, ok := q.Spec.Hard[asked]
		if !ok && (name == core.ResourceCPU || name == core.ResourceMemory) {
			if request, ok = q.Spec.Hard[name]; ok {
				asked = name
			}
		}
		limit, limited := q.Spec.Hard["limits."+name]
		if ok && limited && request.Cmp(limit) > 0 {
			w = append(w, fmt.Sprintf("ResourceQuota %s (%s) should be less than limits.%s (%s)", asked, request.String(), name, limit.String()))
		}
	}
	return w
}

func quotaRow(q *corev1.ResourceQuota, now time.Time) []any {
	var requests, limits []string
	for name, hard := range q.Status.Hard {
		used := q.Status.Used[name]
		cell := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(string(name), "limits.") {
			limits = append(limits, cell)
		} else {
			requests = append(requests, cell)
		}
	}
	byName := func(a, b string) int {
		return strings.Compare(a[:strings.LastIndex(a, ": ")], b[:strings.LastIndex(b, ": ")])
	}
	slices.SortFunc(requests, byName)
	slices.SortFunc(limits, byName)
	return []any{q.Name, strings.Join(requests, ", "), strings.Join(limits, ", "), age(q.CreationTimestamp, now)}
}
