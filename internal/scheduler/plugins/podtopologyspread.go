package plugins

import (
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/scheduler/framework"
)

// PodTopologySpread spreads pods evenly over zones, nodes or whatever a label names.
type PodTopologySpread struct{}

// Name is upstream's.
func (PodTopologySpread) Name() string { return "PodTopologySpread" }

// constraint is one constraint of the pod with the pods counted in each domain.
type constraint struct {
	*corev1.TopologySpreadConstraint
	selector labels.Selector
	affinity *places // what the pod says of nodes
	self     int64   // 1 where the pod itself is counted
	counts   map[string]int64
	least    int64
	most     int64
}

// spread is PodTopologySpread for one pod.
type spread struct {
	PodTopologySpread
	hard, soft []*constraint
}

// Prepare counts the matching pods of each domain.
func (PodTopologySpread) Prepare(p *framework.Pod, c framework.Cluster) framework.Plugin {
	s := &spread{}
	for i := range p.Spec.TopologySpreadConstraints {
		t := newConstraint(p, &p.Spec.TopologySpreadConstraints[i])
		if t.WhenUnsatisfiable == corev1.DoNotSchedule {
			s.hard = append(s.hard, t)
		} else {
			s.soft = append(s.soft, t)
		}
	}
	if len(s.hard)+len(s.soft) == 0 {
		return nil
	}
	for _, list := range [][]*constraint{s.hard, s.soft} {
		for _, t := range list {
			t.count(p, c, list)
		}
	}
	return s
}

func newConstraint(p *framework.Pod, c *corev1.TopologySpreadConstraint) *constraint {
	t := &constraint{TopologySpreadConstraint: c, selector: framework.Selector(c.LabelSelector), affinity: readAffinity(p), counts: map[string]int64{}}
	for _, key := range c.MatchLabelKeys {
		if v, ok := p.Labels[key]; ok {
			if r, err := labels.NewRequirement(key, "in", []string{v}); err == nil {
				t.selector = t.selector.Add(*r)
			}
		}
	}
	if t.selector.Matches(labels.Set(p.Labels)) {
		t.self = 1
	}
	return t
}

// count looks at the nodes that have all keys of the list and that the constraint's policies let in.
func (t *constraint) count(p *framework.Pod, c framework.Cluster, list []*constraint) {
	for _, n := range c.Nodes {
		if !hasAllKeys(n, list) || !t.letsIn(p, n) {
			continue
		}
		v := n.Labels[t.TopologyKey]
		t.counts[v] += 0
		for _, other := range n.Pods {
			if t.counted(p, other) {
				t.counts[v]++
			}
		}
	}
	t.bound()
}

func (t *constraint) counted(p *framework.Pod, other *framework.Placed) bool {
	return other.Namespace == p.Namespace && !other.Leaving && t.selector.Matches(other.Labels)
}

// bound finds the least and the most of the counts.
func (t *constraint) bound() {
	t.least, t.most = math.MaxInt64, 0
	for _, n := range t.counts {
		t.least, t.most = min(t.least, n), max(t.most, n)
	}
	if t.MinDomains != nil && len(t.counts) < int(*t.MinDomains) {
		t.least = 0
	}
}

func hasAllKeys(n *framework.Node, list []*constraint) bool {
	for _, t := range list {
		if _, ok := n.Labels[t.TopologyKey]; !ok {
			return false
		}
	}
	return true
}

// letsIn applies nodeAffinityPolicy (Honor unless it says otherwise) and nodeTaintsPolicy (Ignore).
func (t *constraint) letsIn(p *framework.Pod, n *framework.Node) bool {
	if t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor {
		if t.affinity.Filter(p, n) != nil {
			return false
		}
	}
	honor := t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
	return !honor || (TaintToleration{}).Filter(p, n) == nil
}

// Filter refuses a node where the skew would pass the most that is allowed.
func (s *spread) Filter(_ *framework.Pod, n *framework.Node) []string {
	for _, t := range s.hard {
		v, ok := n.Labels[t.TopologyKey]
		if !ok {
			return []string{"node(s) didn't match pod topology spread constraints (missing required label)"}
		}
		if t.counts[v]+t.self-t.least > int64(t.MaxSkew) {
			return []string{"node(s) didn't match pod topology spread constraints"}
		}
	}
	return nil
}

// Follow counts one pod more or less, in the constraints that refuse.
func (s *spread) Follow(p *framework.Pod, n *framework.Node, other *framework.Placed, by int) framework.Filter {
	out := *s
	for i, t := range s.hard {
		if !t.counted(p, other) || !hasAllKeys(n, s.hard) || !t.letsIn(p, n) {
			continue
		}
		if &out.hard[0] == &s.hard[0] {
			out.hard = slices.Clone(s.hard)
		}
		changed := *t
		changed.counts = maps.Clone(t.counts)
		changed.counts[n.Labels[t.TopologyKey]] += int64(by)
		changed.bound()
		out.hard[i] = &changed
	}
	return &out
}

// Weight is upstream's.
func (s *spread) Weight() int64 { return 2 }

// Score prefers the emptier domains of the constraints that are only wishes.
func (s *spread) Score(_ *framework.Pod, n *framework.Node) int64 {
	if len(s.soft) == 0 {
		return 0
	}
	sum := int64(0)
	for _, t := range s.soft {
		if v, ok := n.Labels[t.TopologyKey]; ok {
			sum += 100 * (t.most - t.counts[v] + 1) / (t.most + 1)
		}
	}
	return sum / int64(len(s.soft))
}
