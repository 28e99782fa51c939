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

// places is NodeAffinity for one pod, its terms read.
type places struct {
	NodeAffinity
	labels    map[string]string                      // the node selector
	required  *nodeaffinity.LazyErrorNodeSelector    // nil: none
	preferred *nodeaffinity.PreferredSchedulingTerms // nil: none
	all       int64                                  // weight of the preferred terms
}

// Prepare reads the pod's terms once for all nodes.
func (NodeAffinity) Prepare(p *framework.Pod, _ framework.Cluster) framework.Plugin {
	if pl := readAffinity(p); len(pl.labels) > 0 || pl.required != nil || pl.preferred != nil {
		return pl
	}
	return nil
}

func readAffinity(p *framework.Pod) *places {
	pl := &places{labels: p.Spec.NodeSelector}
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return pl
	}
	a := p.Spec.Affinity.NodeAffinity
	if a.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		pl.required = nodeaffinity.NewLazyErrorNodeSelector(a.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	for _, t := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		pl.all += int64(t.Weight)
	}
	if terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.PreferredDuringSchedulingIgnoredDuringExecution); err == nil && pl.all > 0 {
		pl.preferred = terms
	}
	return pl
}

// Filter refuses nodes that the selector or the required terms do not match.
func (pl *places) Filter(_ *framework.Pod, n *framework.Node) []string {
	const not = "node(s) didn't match Pod's node affinity/selector"
	for key, want := range pl.labels {
		if have, ok := n.Labels[key]; !ok || have != want {
			return []string{not}
		}
	}
	if pl.required == nil {
		return nil
	}
	ok, err := pl.required.Match(n.Node)
	if err != nil {
		return []string{"node(s) could not be matched: " + err.Error()}
	}
	if !ok {
		return []string{not}
	}
	return nil
}

// Score is the share of the preferred terms' weight that the node matches.
func (pl *places) Score(_ *framework.Pod, n *framework.Node) int64 {
	if pl.preferred == nil {
		return 0
	}
	return 100 * pl.preferred.Score(n.Node) / pl.all
}
