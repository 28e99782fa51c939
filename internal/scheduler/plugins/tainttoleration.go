package plugins

import (
	corev1 "k8s.io/api/core/v1"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"

	"minato.dev/minato/internal/scheduler/framework"
)

// TaintToleration keeps pods off nodes whose taints they do not tolerate, and prefers nodes with fewer soft taints.
type TaintToleration struct{}

// Name is upstream's.
func (TaintToleration) Name() string { return "TaintToleration" }

// Weight is upstream's.
func (TaintToleration) Weight() int64 { return 3 }

// Filter refuses a node with an untolerated NoSchedule or NoExecute taint.
func (TaintToleration) Filter(p *framework.Pod, n *framework.Node) []string {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(p, t) {
			return []string{"node(s) had untolerated taint(s)"}
		}
	}
	return nil
}

func tolerates(p *framework.Pod, t *corev1.Taint) bool {
	return corehelpers.TolerationsTolerateTaint(klog.Background(), p.Spec.Tolerations, t, comparisonOperators)
}

// Score gives 100 without untolerated PreferNoSchedule taints, less with each.
func (TaintToleration) Score(p *framework.Pod, n *framework.Node) int64 {
	bad := int64(0)
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule && !tolerates(p, t) {
			bad++
		}
	}
	return 100 / (1 + bad)
}

// comparisonOperators is upstream's gate TaintTolerationComparisonOperators, as 1.37 sets it by default.
const comparisonOperators = false
