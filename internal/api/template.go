package api

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
)

// templateWarnings are those of a workload's pod template: always on create, on update only when the object changed.
func templateWarnings[T Object](template func(T) *core.PodTemplateSpec, hostname bool) func(context.Context, Object, Object) []string {
	path := field.NewPath("spec", "template")
	return func(ctx context.Context, obj, old Object) []string {
		if old == nil {
			var w []string
			if hostname {
				w = hostnameWarning(obj.GetName(), "Pod names and hostnames")
			}
			return append(w, podutil.GetWarningsForPodTemplate(ctx, path, template(obj.(T)), nil)...)
		}
		if obj.GetGeneration() == old.GetGeneration() {
			return nil
		}
		return podutil.GetWarningsForPodTemplate(ctx, path, template(obj.(T)), template(old.(T)))
	}
}
