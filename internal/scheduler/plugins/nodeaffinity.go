package plugins

import (
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"minato.dev/minato/internal/scheduler/framework"
)

// NodeAffinity honours nodeSelector and node affinity, required and preferred.
type NodeAffinity struct{}

// Name is upstream's.
func (NodeAffinity) Name() string { return "NodeAffinity" }

// Weight is upstream's.
func (NodeAffinity) Weight() int64 { return 2 }

// Filter refuses nodes that the required terms do not match.
func (NodeAffinity) Filter(p *framework.Pod, n *framework.Node) []string {
	ok, err := nodeaffinity.GetRequiredNodeAffinity(p.Pod).Match(n.Node)
	if err != nil {
		return []string{"node(s) could not be matched: " + err.Error()}
	}
	if !ok {
		return []string{"node(s) didn't match Pod's node affinity/selector"}
	}
	return nil
}

// Score is the share of the preferred terms' weight that the node matches.
func (NodeAffinity) Score(p *framework.Pod, n *framework.Node) int64 {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return 0
	}
	preferred := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(preferred)
	if err != nil {
		return 0
	}
	all := int64(0)
	for _, t := range preferred {
		all += int64(t.Weight)
	}
	if all == 0 {
		return 0
	}
	return 100 * terms.Score(n.Node) / all
}
