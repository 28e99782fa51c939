package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core"
)

// spreadByLabelKeys resolves matchLabelKeys and mismatchLabelKeys of a new pod: the values of its own labels go into the
// label selectors, so that the scheduler need not look again.
func spreadByLabelKeys(p *core.Pod) {
	if gate("MatchLabelKeysInPodAffinity") && p.Spec.Affinity != nil {
		if a := p.Spec.Affinity.PodAffinity; a != nil {
			resolveTerms(p.Labels, a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if a := p.Spec.Affinity.PodAntiAffinity; a != nil {
			resolveTerms(p.Labels, a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	if !gate("MatchLabelKeysInPodTopologySpread") || !gate("MatchLabelKeysInPodTopologySpreadSelectorMerge") {
		return
	}
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		resolveKeys(c.LabelSelector, c.MatchLabelKeys, metav1.LabelSelectorOpIn, p.Labels)
	}
}

func resolveTerms(labels map[string]string, required []core.PodAffinityTerm, preferred []core.WeightedPodAffinityTerm) {
	for i := range preferred {
		resolveTerm(labels, &preferred[i].PodAffinityTerm)
	}
	for i := range required {
		resolveTerm(labels, &required[i])
	}
}

func resolveTerm(labels map[string]string, t *core.PodAffinityTerm) {
	resolveKeys(t.LabelSelector, t.MatchLabelKeys, metav1.LabelSelectorOpIn, labels)
	resolveKeys(t.LabelSelector, t.MismatchLabelKeys, metav1.LabelSelectorOpNotIn, labels)
}

func resolveKeys(s *metav1.LabelSelector, keys []string, op metav1.LabelSelectorOperator, labels map[string]string) {
	if s == nil {
		return
	}
	for _, k := range keys {
		if v, ok := labels[k]; ok {
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: k, Operator: op, Values: []string{v}})
		}
	}
}
