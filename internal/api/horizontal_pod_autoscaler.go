package api

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	"k8s.io/kubernetes/pkg/apis/autoscaling/validation"
)

func horizontalPodAutoscaler() kind {
	return kind{
		group: "autoscaling",
		name:  "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers",
		versions: []string{"v2", "v1"},
		short:    []string{"hpa"},
		category: "all",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(h, old *autoscaling.HorizontalPodAutoscaler) { h.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateHorizontalPodAutoscalerStatusUpdate),
				Declarative:      autoscalerDeclarative,
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(h *autoscaling.HorizontalPodAutoscaler) {
				h.Status = autoscaling.HorizontalPodAutoscalerStatus{}
				if gate("HPAGeneration") {
					h.Generation = 1
				}
				dropTolerance(h, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(h, old *autoscaling.HorizontalPodAutoscaler) {
				h.Status = old.Status
				dropTolerance(h, old)
				if gate("HPAGeneration") {
					bump(h, old, h.Spec, old.Spec)
				}
			}),
			Validate: valid(func(h *autoscaling.HorizontalPodAutoscaler) field.ErrorList {
				return validation.ValidateHorizontalPodAutoscaler(h, autoscalerOptions(h, nil))
			}),
			ValidateUpdate: validUpdate(func(h, old *autoscaling.HorizontalPodAutoscaler) field.ErrorList {
				return validation.ValidateHorizontalPodAutoscalerUpdate(h, old, autoscalerOptions(h, old))
			}),
			Declarative: autoscalerDeclarative,
			ResetFields: statusField,
		},
		columns: table("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
		row:     typed(autoscalerRow),
	}
}

// scalesToZero: with the feature off, only objects that already do may.
func scalesToZero(old *autoscaling.HorizontalPodAutoscaler) bool {
	had := old != nil && old.Spec.MinReplicas != nil && *old.Spec.MinReplicas == 0
	return had || gate("HPAScaleToZero")
}

func autoscalerDeclarative(_, old Object) Declarative {
	was, _ := old.(*autoscaling.HorizontalPodAutoscaler)
	return Declarative{Options: map[string]bool{"HPAScaleToZero": scalesToZero(was)}}
}

func autoscalerOptions(h, old *autoscaling.HorizontalPodAutoscaler) validation.HorizontalPodAutoscalerSpecValidationOptions {
	o := validation.HorizontalPodAutoscalerSpecValidationOptions{
		MinReplicasLowerBound:           1,
		ScaleTargetRefValidationOptions: validation.CrossVersionObjectReferenceValidationOptions{RequiredCoveredByDeclarative: true},
		ObjectMetricsValidationOptions:  validation.CrossVersionObjectReferenceValidationOptions{AllowEmptyAPIGroup: true},
	}
	if scalesToZero(old) {
		o.MinReplicasLowerBound = 0
	}
	ref := h.Spec.ScaleTargetRef
	switch {
	case old != nil && old.Spec.ScaleTargetRef.APIVersion == ref.APIVersion && old.Spec.ScaleTargetRef.Kind == ref.Kind:
		o.ScaleTargetRefValidationOptions.AllowInvalidAPIVersion = true
	case ref.Kind == "ReplicationController":
		o.ScaleTargetRefValidationOptions.AllowEmptyAPIGroup = true
	}
	o.ObjectMetricsValidationOptions.AllowInvalidAPIVersion = old != nil && hasInvalidObjectMetric(old, o.ObjectMetricsValidationOptions)
	return o
}

func hasInvalidObjectMetric(h *autoscaling.HorizontalPodAutoscaler, o validation.CrossVersionObjectReferenceValidationOptions) bool {
	for _, m := range h.Spec.Metrics {
		if m.Type == autoscaling.ObjectMetricSourceType && m.Object != nil && validation.ValidateAPIVersion(m.Object.DescribedObject, o) != nil {
			return true
		}
	}
	return false
}

func dropTolerance(h, old *autoscaling.HorizontalPodAutoscaler) {
	if gate("HPAConfigurableTolerance") || hasTolerance(old) {
		return
	}
	for _, r := range scalingRules(h) {
		r.Tolerance = nil
	}
}

func hasTolerance(h *autoscaling.HorizontalPodAutoscaler) bool {
	for _, r := range scalingRules(h) {
		if r.Tolerance != nil {
			return true
		}
	}
	return false
}

func scalingRules(h *autoscaling.HorizontalPodAutoscaler) []*autoscaling.HPAScalingRules {
	if h == nil || h.Spec.Behavior == nil {
		return nil
	}
	var out []*autoscaling.HPAScalingRules
	for _, r := range []*autoscaling.HPAScalingRules{h.Spec.Behavior.ScaleDown, h.Spec.Behavior.ScaleUp} {
		if r != nil {
			out = append(out, r)
		}
	}
	return out
}

func autoscalerRow(h *autoscalingv2.HorizontalPodAutoscaler, now time.Time) []any {
	least := "<unset>"
	if n := h.Spec.MinReplicas; n != nil {
		least = itoa(*n)
	}
	ref := h.Spec.ScaleTargetRef
	return []any{
		h.Name, ref.Kind + "/" + ref.Name, metricsCell(h.Spec.Metrics, h.Status.CurrentMetrics), least,
		int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), age(h.CreationTimestamp, now),
	}
}
