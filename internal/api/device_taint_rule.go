package api

import (
	"time"

	resourcev1beta2 "k8s.io/api/resource/v1beta2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func deviceTaintRule() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "DeviceTaintRule", plural: "devicetaintrules",
		storage: "v1beta2",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(r, old *resource.DeviceTaintRule) {
					r.Spec = old.Spec
					statusOnly(&r.ObjectMeta, &old.ObjectMeta)
				}),
				ValidateUpdate:         validUpdate(validation.ValidateDeviceTaintRuleStatusUpdate),
				RequireResourceVersion: true,
				ResetFields:            []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(r *resource.DeviceTaintRule) {
				r.Status = resource.DeviceTaintRuleStatus{}
				r.Generation = 1
			}),
			PrepareForUpdate:       updateTaintRule,
			Validate:               valid(validation.ValidateDeviceTaintRule),
			ValidateUpdate:         validUpdate(validation.ValidateDeviceTaintRuleUpdate),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name", "Key", "Value", "Effect", "TimeAdded", "Age"),
		row: typed(func(r *resourcev1beta2.DeviceTaintRule, now time.Time) []any {
			added := ""
			if t := r.Spec.Taint.TimeAdded; t != nil {
				added = age(*t, now)
			}
			return []any{r.Name, r.Spec.Taint.Key, r.Spec.Taint.Value, string(r.Spec.Taint.Effect), added, age(r.CreationTimestamp, now)}
		}),
	}
}

// updateTaintRule counts tolerations from a change of the effect anew.
func updateTaintRule(q *Request, obj, was Object) {
	r, old := obj.(*resource.DeviceTaintRule), was.(*resource.DeviceTaintRule)
	r.Status = old.Status
	if t, o := &r.Spec.Taint, old.Spec.Taint; t.Effect != o.Effect && t.TimeAdded.Equal(o.TimeAdded) {
		t.TimeAdded = &metav1.Time{Time: q.Now.Truncate(time.Second)}
	}
	bump(r, old, r.Spec, old.Spec)
}
