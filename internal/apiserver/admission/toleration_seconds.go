package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// How long a pod stays on a node that is not ready or cannot be reached.
const defaultTolerationTime int64 = 300

// defaultTolerationSeconds gives pods that do not say otherwise five minutes on a failing node.
var defaultTolerationSeconds = plugin{
	name:    "DefaultTolerationSeconds",
	handles: on(pods, Create, Update),
	admit: func(_ context.Context, _ *Config, a *Attributes) error {
		pod, ok := object[*corev1.Pod](a)
		if !ok {
			return apierrors.NewBadRequest(errNoPod.Error())
		}
		var add []corev1.Toleration
		for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
			if !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
				return (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "")
			}) {
				seconds := defaultTolerationTime
				add = append(add, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds})
			}
		}
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, add...)
		return nil
	},
}
