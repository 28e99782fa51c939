package daemonset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// placement is whether a daemon should be started on a node, and whether one that is there may stay.
type placement struct{ run, stay bool }

// place applies upstream's rules: node name, selector and affinity decide both; an untolerated NoSchedule taint keeps new daemons
// off, an untolerated NoExecute taint drives daemons away.
func place(ds *appsv1.DaemonSet, node *corev1.Node) placement {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ds.Namespace}, Spec: ds.Spec.Template.Spec}
	pod.Spec.Tolerations = slices.Clone(pod.Spec.Tolerations)
	addTolerations(&pod.Spec)
	if name := pod.Spec.NodeName; name != "" && name != node.Name {
		return placement{}
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !ok {
		return placement{}
	}
	untolerated := func(effects ...corev1.TaintEffect) bool {
		_, found := corehelpers.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations,
			func(t *corev1.Taint) bool { return slices.Contains(effects, t.Effect) }, false)
		return found
	}
	if untolerated(corev1.TaintEffectNoExecute) {
		return placement{}
	}
	return placement{run: !untolerated(corev1.TaintEffectNoSchedule), stay: true}
}

// addTolerations lets daemons live through what drives other pods away: they are what mends it.
func addTolerations(s *corev1.PodSpec) {
	add := func(key string, effect corev1.TaintEffect) {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		same := func(o corev1.Toleration) bool {
			return o.Key == t.Key && o.Effect == t.Effect && o.Operator == t.Operator && o.Value == t.Value
		}
		if i := slices.IndexFunc(s.Tolerations, same); i >= 0 {
			s.Tolerations[i] = t // without an end
			return
		}
		s.Tolerations = append(s.Tolerations, t)
	}
	add(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	if s.HostNetwork {
		add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
	}
}

// onlyOn sends the pod to one node. The name takes the place of the terms that the user gave, as upstream does it: place has
// held the node against them already.
func onlyOn(s *corev1.PodSpec, node string) {
	name := corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}
	if s.Affinity == nil {
		s.Affinity = &corev1.Affinity{}
	}
	if s.Affinity.NodeAffinity == nil {
		s.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	s.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{name}}}}
}

// target is the node that a daemon is for: where it runs, or where its affinity sends it.
func target(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range t.MatchFields {
			if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}
