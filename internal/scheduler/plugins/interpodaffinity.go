package plugins

import (
	"maps"
	"slices"

	"minato.dev/minato/internal/scheduler/framework"
)

// InterPodAffinity places pods beside, or away from, other pods: by the pod's own terms, and by those of the pods that run
// already, whose required anti-affinity refuses and whose other terms are wishes.
type InterPodAffinity struct{}

// Name is upstream's.
func (InterPodAffinity) Name() string { return "InterPodAffinity" }

// demandWeight is what a required affinity term of a pod that runs already counts as a wish (upstream's
// hardPodAffinityWeight).
const demandWeight = 1

// domains holds something of each domain, which is one value of one topology key, such as a zone: by key, then value.
type domains[V any] map[string]map[string]V

func (d domains[V]) of(key string) map[string]V {
	if d[key] == nil {
		d[key] = map[string]V{}
	}
	return d[key]
}

// affinity is InterPodAffinity for one pod.
type affinity struct {
	InterPodAffinity
	own         framework.Terms
	beside      []map[string]int // for each demand to be beside: how many such pods the domains have that have some
	away        []map[string]int // for each demand to be away, likewise
	refused     domains[int]     // how many pods there do not want this one, where some do not
	self        bool             // the pod itself meets its demands: it may be the first
	points      domains[int64]
	least, most int64
	namespaces  framework.Cluster // what is known of them, and no nodes
}

// Prepare looks once at every pod of the cluster that can matter: at all where the pod has terms of its own, otherwise at
// those that have some.
func (InterPodAffinity) Prepare(p *framework.Pod, c framework.Cluster) framework.Plugin {
	a := &affinity{refused: domains[int]{}, points: domains[int64]{}, namespaces: framework.Cluster{Namespace: c.Namespace}}
	if p.Terms != nil {
		a.own = *p.Terms
		a.beside, a.away = make([]map[string]int, len(a.own.Wants)), make([]map[string]int, len(a.own.Avoids))
	}
	for _, n := range c.Nodes {
		if p.Terms != nil {
			for _, other := range n.Pods {
				a.judge(p, n, other, 1)
			}
		}
		for _, other := range n.Particular {
			a.hear(p, n, other, 1)
		}
	}
	if len(a.own.Wants)+len(a.own.Avoids)+len(a.refused)+len(a.points) == 0 {
		return nil
	}
	a.self = wanted(a.own.Wants, p, p.Namespace, p.Labels, c)
	a.bound(c)
	return a
}

// wanted says whether pods with these labels meet all demands of p, of which there is one at least.
func wanted(wants []framework.Term, p *framework.Pod, namespace string, labels map[string]string, c framework.Cluster) bool {
	for i := range wants {
		if !wants[i].Matches(p.Namespace, namespace, labels, c) {
			return false
		}
	}
	return len(wants) > 0
}

// Follow holds the terms of both against each other anew, those that only wish apart.
func (a *affinity) Follow(p *framework.Pod, n *framework.Node, other *framework.Placed, by int) framework.Filter {
	if other.Terms == nil && !a.concerns(p, other) {
		return a
	}
	out := *a
	out.beside, out.away = cloned(a.beside), cloned(a.away)
	out.refused, out.points = make(domains[int], len(a.refused)), domains[int64]{}
	for key, values := range a.refused {
		out.refused[key] = maps.Clone(values)
	}
	out.judge(p, n, other, by)
	if other.Terms != nil {
		out.hear(p, n, other, by)
	}
	return &out
}

// concerns says whether a pod is one of those that p demands to be near or far.
func (a *affinity) concerns(p *framework.Pod, other *framework.Placed) bool {
	return wanted(a.own.Wants, p, other.Namespace, other.Labels, a.namespaces) || slices.ContainsFunc(a.own.Avoids, func(t framework.Term) bool {
		return t.Matches(p.Namespace, other.Namespace, other.Labels, a.namespaces)
	})
}

func cloned(list []map[string]int) []map[string]int {
	out := make([]map[string]int, len(list))
	for i, m := range list {
		out[i] = maps.Clone(m)
	}
	return out
}

// judge holds the pod's own terms against a pod that is there already, that comes (by 1) or that goes (-1).
func (a *affinity) judge(p *framework.Pod, n *framework.Node, other *framework.Placed, by int) {
	c := a.namespaces
	if !other.Leaving && wanted(a.own.Wants, p, other.Namespace, other.Labels, c) {
		for i := range a.own.Wants {
			note(&a.beside[i], n, a.own.Wants[i].Key, by)
		}
	}
	for i := range a.own.Avoids {
		if t := &a.own.Avoids[i]; t.Matches(p.Namespace, other.Namespace, other.Labels, c) {
			note(&a.away[i], n, t.Key, by)
		}
	}
	for i := range a.own.Wishes {
		if t := &a.own.Wishes[i]; t.Matches(p.Namespace, other.Namespace, other.Labels, c) {
			a.add(n, t.Key, t.Weight)
		}
	}
}

// hear holds the terms of a pod that is there already, that comes or that goes against the new one.
func (a *affinity) hear(p *framework.Pod, n *framework.Node, other *framework.Placed, by int) {
	means := func(t *framework.Term) bool { return t.Matches(other.Namespace, p.Namespace, p.Labels, a.namespaces) }
	for i := range other.Terms.Avoids {
		t := &other.Terms.Avoids[i]
		if _, ok := n.Labels[t.Key]; ok && means(t) {
			m := a.refused.of(t.Key)
			note(&m, n, t.Key, by)
		}
	}
	for i := range other.Terms.Wants {
		if t := &other.Terms.Wants[i]; means(t) {
			a.add(n, t.Key, demandWeight)
		}
	}
	for i := range other.Terms.Wishes {
		if t := &other.Terms.Wishes[i]; means(t) {
			a.add(n, t.Key, t.Weight)
		}
	}
}

func (a *affinity) add(n *framework.Node, key string, points int64) {
	if v, ok := n.Labels[key]; ok {
		a.points.of(key)[v] += points
	}
}

// note counts a pod more or less in the domain that n is of.
func note(m *map[string]int, n *framework.Node, key string, by int) {
	v, ok := n.Labels[key]
	if !ok {
		return
	}
	if *m == nil {
		*m = map[string]int{}
	}
	if (*m)[v] += by; (*m)[v] == 0 {
		delete(*m, v)
	}
}

// first says that nobody meets the demands yet, and the pod itself would.
func (a *affinity) first() bool {
	return a.self && !slices.ContainsFunc(a.beside, func(m map[string]int) bool { return len(m) > 0 })
}

// Filter applies the required terms of both sides.
func (a *affinity) Filter(_ *framework.Pod, n *framework.Node) []string {
	for i := range a.own.Wants {
		v, ok := n.Labels[a.own.Wants[i].Key]
		if !ok || a.beside[i][v] == 0 && !a.first() {
			return []string{"node(s) didn't match pod affinity rules"}
		}
	}
	for i := range a.own.Avoids {
		if v, ok := n.Labels[a.own.Avoids[i].Key]; ok && a.away[i][v] > 0 {
			return []string{"node(s) didn't match pod anti-affinity rules"}
		}
	}
	for key, values := range a.refused {
		if v, ok := n.Labels[key]; ok && values[v] > 0 {
			return []string{"node(s) didn't satisfy existing pods anti-affinity rules"}
		}
	}
	return nil
}

// Weight is upstream's.
func (a *affinity) Weight() int64 { return 2 }

// bound finds the range of the points, to scale them.
func (a *affinity) bound(c framework.Cluster) {
	for _, n := range c.Nodes {
		sum := a.sum(n)
		a.least, a.most = min(a.least, sum), max(a.most, sum)
	}
}

func (a *affinity) sum(n *framework.Node) (sum int64) {
	for key, points := range a.points {
		if v, ok := n.Labels[key]; ok {
			sum += points[v]
		}
	}
	return sum
}

// Score scales the points of all wishes to 0 to 100.
func (a *affinity) Score(_ *framework.Pod, n *framework.Node) int64 {
	if a.most == a.least {
		return 0
	}
	return 100 * (a.sum(n) - a.least) / (a.most - a.least)
}
