package plugins

import (
	corev1 "k8s.io/api/core/v1"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"

	"minato.dev/minato/internal/scheduler/framework"
)

// NodeUnschedulable keeps pods off cordoned nodes, unless they tolerate the taint that stands for cordoning.
type NodeUnschedulable struct{}

// Name is upstream's.
func (NodeUnschedulable) Name() string { return "NodeUnschedulable" }

// Filter refuses a node whose spec.unschedulable is set.
func (NodeUnschedulable) Filter(p *framework.Pod, n *framework.Node) []string {
	if !n.Spec.Unschedulable {
		return nil
	}
	cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if corehelpers.TolerationsTolerateTaint(klog.Background(), p.Spec.Tolerations, &cordon, true) {
		return nil
	}
	return []string{"node(s) were unschedulable"}
}
