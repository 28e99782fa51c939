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

// wanted is NodeAffinity for one pod, its terms read.
type wanted struct {
	NodeAffinity
	required  nodeaffinity.RequiredNodeAffinity
	preferred *nodeaffinity.PreferredSchedulingTerms // nil: none
	all       int64                                  // weight of the preferred terms
}

// Prepare reads the pod's terms once for all nodes.
func (NodeAffinity) Prepare(p *framework.Pod, _ framework.Cluster) framework.Plugin {
	return readAffinity(p)
}

func readAffinity(p *framework.Pod) *wanted {
	w := &wanted{required: nodeaffinity.GetRequiredNodeAffinity(p.Pod)}
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil {
		return w
	}
	for _, t := range a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		w.all += int64(t.Weight)
	}
	if terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err == nil && w.all > 0 {
		w.preferred = terms
	}
	return w
}

// Filter refuses nodes that the required terms do not match.
func (w *wanted) Filter(_ *framework.Pod, n *framework.Node) []string {
	ok, err := w.required.Match(n.Node)
	if err != nil {
		return []string{"node(s) could not be matched: " + err.Error()}
	}
	if !ok {
		return []string{"node(s) didn't match Pod's node affinity/selector"}
	}
	return nil
}

// Score is the share of the preferred terms' weight that the node matches.
func (w *wanted) Score(_ *framework.Pod, n *framework.Node) int64 {
	if w.preferred == nil {
		return 0
	}
	return 100 * w.preferred.Score(n.Node) / w.all
}
