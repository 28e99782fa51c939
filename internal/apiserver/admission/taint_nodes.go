package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// taintNodesByCondition keeps pods off a node that has just come, until its kubelet has said that it is ready.
var taintNodesByCondition = plugin{
	name:    "TaintNodesByCondition",
	handles: on(nodes, Create),
	admit: func(_ context.Context, _ *Config, a *Attributes) error {
		node, ok := object[*corev1.Node](a)
		if !ok {
			return a.forbid("unexpected type %T", a.Object)
		}
		notReady := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
		if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&notReady) }) {
			node.Spec.Taints = append(node.Spec.Taints, notReady)
		}
		return nil
	},
}
