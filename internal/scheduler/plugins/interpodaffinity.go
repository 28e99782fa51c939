package plugins

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/scheduler/framework"
)

// InterPodAffinity places pods beside, or away from, other pods: the pod's own terms, and the required anti-affinity of
// the pods that run already.
type InterPodAffinity struct{}

// Name is upstream's.
func (InterPodAffinity) Name() string { return "InterPodAffinity" }

// domain is one value of one topology key, such as a zone.
type domain struct{ key, value string }

// term is a term of the API with its selectors read.
type term struct {
	key        string
	selector   labels.Selector
	namespaces map[string]bool
	among      labels.Selector // of namespaces, by their labels
	weight     int64
}

func newTerm(namespace string, t *corev1.PodAffinityTerm) term {
	out := term{key: t.TopologyKey, selector: framework.Selector(t.LabelSelector), namespaces: map[string]bool{}, among: framework.Selector(t.NamespaceSelector)}
	for _, ns := range t.Namespaces {
		out.namespaces[ns] = true
	}
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		out.namespaces[namespace] = true
	}
	return out
}

func newTerms(namespace string, list []corev1.PodAffinityTerm) (out []term) {
	for i := range list {
		out = append(out, newTerm(namespace, &list[i]))
	}
	return out
}

func weighted(namespace string, list []corev1.WeightedPodAffinityTerm, sign int64) (out []term) {
	for i := range list {
		t := newTerm(namespace, &list[i].PodAffinityTerm)
		t.weight = sign * int64(list[i].Weight)
		out = append(out, t)
	}
	return out
}

// matches says whether the term means pods with these labels in this namespace.
func (t term) matches(namespace string, l labels.Set, c framework.Cluster) bool {
	if !t.selector.Matches(l) {
		return false
	}
	if t.namespaces[namespace] {
		return true
	}
	own, ok := c.Namespace(namespace)
	return ok && t.among.Matches(own)
}

// affinity is InterPodAffinity for one pod.
type affinity struct {
	InterPodAffinity
	wants, avoids []term
	beside        []map[string]bool // for each of wants: the domains that have such a pod
	away          []map[string]bool // for each of avoids: the domains that have such a pod
	refused       map[domain]bool   // domains whose pods do not want this one
	first         bool              // nobody matches the wants yet, and the pod itself would
	points        map[domain]int64
	least, most   int64
}

// Prepare looks at every pod of the cluster once.
func (InterPodAffinity) Prepare(p *framework.Pod, c framework.Cluster) framework.Plugin {
	a := &affinity{refused: map[domain]bool{}, points: map[domain]int64{}}
	var prefers []term
	if own := p.Spec.Affinity; own != nil {
		if pa := own.PodAffinity; pa != nil {
			a.wants = newTerms(p.Namespace, pa.RequiredDuringSchedulingIgnoredDuringExecution)
			prefers = append(prefers, weighted(p.Namespace, pa.PreferredDuringSchedulingIgnoredDuringExecution, 1)...)
		}
		if pa := own.PodAntiAffinity; pa != nil {
			a.avoids = newTerms(p.Namespace, pa.RequiredDuringSchedulingIgnoredDuringExecution)
			prefers = append(prefers, weighted(p.Namespace, pa.PreferredDuringSchedulingIgnoredDuringExecution, -1)...)
		}
	}
	a.beside, a.away = make([]map[string]bool, len(a.wants)), make([]map[string]bool, len(a.avoids))
	for _, n := range c.Nodes {
		for _, other := range n.Pods {
			a.see(p, n, other, prefers, c)
		}
	}
	a.first = !a.anyBeside() && len(a.wants) > 0 && all(a.wants, func(t term) bool { return t.matches(p.Namespace, p.Labels, c) })
	if len(a.wants)+len(a.avoids)+len(a.refused)+len(a.points) == 0 {
		return nil
	}
	a.bound(c)
	return a
}

// see counts one pod that is there already.
func (a *affinity) see(p *framework.Pod, n *framework.Node, other *framework.Placed, prefers []term, c framework.Cluster) {
	if !other.Leaving && len(a.wants) > 0 && all(a.wants, func(t term) bool { return t.matches(other.Namespace, other.Labels, c) }) {
		for i, t := range a.wants {
			note(&a.beside[i], n, t.key)
		}
	}
	for i, t := range a.avoids {
		if t.matches(other.Namespace, other.Labels, c) {
			note(&a.away[i], n, t.key)
		}
	}
	for _, t := range prefers {
		if v, ok := n.Labels[t.key]; ok && t.matches(other.Namespace, other.Labels, c) {
			a.points[domain{t.key, v}] += t.weight
		}
	}
	if theirs := other.Affinity; theirs != nil && theirs.PodAntiAffinity != nil {
		for _, t := range newTerms(other.Namespace, theirs.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) {
			if v, ok := n.Labels[t.key]; ok && t.matches(p.Namespace, p.Labels, c) {
				a.refused[domain{t.key, v}] = true
			}
		}
	}
}

func note(m *map[string]bool, n *framework.Node, key string) {
	v, ok := n.Labels[key]
	if !ok {
		return
	}
	if *m == nil {
		*m = map[string]bool{}
	}
	(*m)[v] = true
}

func all(list []term, f func(term) bool) bool {
	for _, t := range list {
		if !f(t) {
			return false
		}
	}
	return true
}

func (a *affinity) anyBeside() bool {
	for _, m := range a.beside {
		if len(m) > 0 {
			return true
		}
	}
	return false
}

// Filter applies the required terms of both sides.
func (a *affinity) Filter(_ *framework.Pod, n *framework.Node) []string {
	for i, t := range a.wants {
		v, ok := n.Labels[t.key]
		if !ok || !a.beside[i][v] && !a.first {
			return []string{"node(s) didn't match pod affinity rules"}
		}
	}
	for i, t := range a.avoids {
		if v, ok := n.Labels[t.key]; ok && a.away[i][v] {
			return []string{"node(s) didn't match pod anti-affinity rules"}
		}
	}
	for d := range a.refused {
		if v, ok := n.Labels[d.key]; ok && v == d.value {
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
	for d, points := range a.points {
		if v, ok := n.Labels[d.key]; ok && v == d.value {
			sum += points
		}
	}
	return sum
}

// Score scales the preferred terms' points to 0 to 100.
func (a *affinity) Score(_ *framework.Pod, n *framework.Node) int64 {
	if a.most == a.least {
		return 0
	}
	return 100 * (a.sum(n) - a.least) / (a.most - a.least)
}
