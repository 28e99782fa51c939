package framework

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Term is a term of pod affinity or anti-affinity with its selectors read. It belongs to a pod, whose namespace it means
// where it names none. Read-only, so that pods of one template share theirs.
type Term struct {
	Key        string // of the topology
	Weight     int64  // of a wish, negative of anti-affinity; 0 of a demand
	selector   labels.Selector
	own        bool // it means its pod's own namespace
	namespaces []string
	among      labels.Selector // of namespaces, by their labels
}

// Terms are all of a pod.
type Terms struct {
	Wants, Avoids []Term // demands
	Wishes        []Term
}

// NewTerms reads those of an affinity; nil where it has none.
func NewTerms(a *corev1.Affinity) *Terms {
	if a == nil || a.PodAffinity == nil && a.PodAntiAffinity == nil {
		return nil
	}
	t := &Terms{}
	if pa := a.PodAffinity; pa != nil {
		t.Wants = demands(pa.RequiredDuringSchedulingIgnoredDuringExecution)
		t.Wishes = wishes(pa.PreferredDuringSchedulingIgnoredDuringExecution, 1)
	}
	if pa := a.PodAntiAffinity; pa != nil {
		t.Avoids = demands(pa.RequiredDuringSchedulingIgnoredDuringExecution)
		t.Wishes = append(t.Wishes, wishes(pa.PreferredDuringSchedulingIgnoredDuringExecution, -1)...)
	}
	return t
}

func newTerm(t *corev1.PodAffinityTerm, weight int64) Term {
	return Term{Key: t.TopologyKey, Weight: weight, selector: Selector(t.LabelSelector), own: len(t.Namespaces) == 0 && t.NamespaceSelector == nil,
		namespaces: t.Namespaces, among: Selector(t.NamespaceSelector)}
}

func demands(list []corev1.PodAffinityTerm) (out []Term) {
	for i := range list {
		out = append(out, newTerm(&list[i], 0))
	}
	return out
}

func wishes(list []corev1.WeightedPodAffinityTerm, sign int64) (out []Term) {
	for i := range list {
		out = append(out, newTerm(&list[i].PodAffinityTerm, sign*int64(list[i].Weight)))
	}
	return out
}

// Matches says whether the term of a pod in namespace owner means pods with these labels in this namespace.
func (t *Term) Matches(owner, namespace string, l labels.Set, c Cluster) bool {
	if !t.selector.Matches(l) {
		return false
	}
	if t.own {
		return owner == namespace
	}
	if slices.Contains(t.namespaces, namespace) {
		return true
	}
	if t.among.Empty() { // an empty selector means every namespace
		return true
	}
	own, ok := c.Namespace(namespace)
	return ok && t.among.Matches(own)
}
