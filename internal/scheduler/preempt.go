package scheduler

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/scheduler/framework"
)

// sacrifice is what making room for a pod on one node would cost.
type sacrifice struct {
	node     string              // its name: the node itself is the state's, and changes
	victims  []*framework.Placed // the most important first
	violated int                 // how many of them a disruption budget would keep
	outdone  []*framework.Placed // who was promised the node before, and is less important
}

// Upstream's bounds of how many nodes are tried: a tenth of all, and a hundred where there are as many.
const (
	triedShare = 10
	triedLeast = 100
)

// sacrifices finds nodes on which p would fit if pods of lower priority went, each with the fewest and least that must go.
// Pure; plugins are asked again about each node as it would be.
func sacrifices(p *framework.Pod, c framework.Cluster, v Verdict, plugins []framework.Plugin, budgets []*policyv1.PodDisruptionBudget) (out []sacrifice) {
	most := max(triedLeast, len(c.Nodes)/triedShare)
	asked, bounds := newQuestion(p, c, plugins), newBudgets(budgets)
	for at, n := range c.Nodes {
		if v.hopeless(n.Name) || !hasLower(n, priority(p.Pod)) {
			continue
		}
		if s, ok := offer(asked.about(at), bounds); ok {
			if out = append(out, s); len(out) == most {
				break
			}
		}
	}
	return out
}

func hasLower(n *framework.Node, than int32) bool {
	for _, other := range n.Pods {
		if other.Priority < than {
			return true
		}
	}
	return false
}

// offer takes all pods of lower priority off a node, and puts back, the most important first, those beside which the pod
// fits; pods that a disruption budget would keep come before all others.
func offer(t *trial, budgets []budget) (sacrifice, bool) {
	var lower []*framework.Placed
	for _, other := range t.node.Pods {
		if other.Priority < priority(t.p.Pod) {
			lower = append(lower, other)
		}
	}
	for _, other := range lower {
		t.remove(other)
	}
	if !t.fits() {
		return sacrifice{}, false
	}
	slices.SortFunc(lower, moreImportant)
	kept, rest := underBudget(lower, budgets)
	s := sacrifice{node: t.all.Nodes[t.at].Name}
	for i, list := range [][]*framework.Placed{kept, rest} {
		for _, other := range list {
			if t.add(other); t.fits() {
				continue
			}
			t.remove(other)
			s.victims = append(s.victims, other)
			if i == 0 {
				s.violated++
			}
		}
	}
	slices.SortFunc(s.victims, moreImportant)
	return s, len(s.victims) > 0
}

// moreImportant orders by priority, and among equals by who has run for longer.
func moreImportant(a, b *framework.Placed) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Started.Compare(b.Started), cmp.Compare(a.Key(), b.Key()))
}

// budget is a disruption budget with its selector read.
type budget struct {
	*policyv1.PodDisruptionBudget
	selector labels.Selector
}

func newBudgets(list []*policyv1.PodDisruptionBudget) []budget {
	out := make([]budget, len(list))
	for i, b := range list {
		out[i] = budget{b, framework.Selector(b.Spec.Selector)}
	}
	return out
}

// underBudget parts the pods that a disruption budget would not let go, taken together, from the others.
func underBudget(pods []*framework.Placed, budgets []budget) (kept, rest []*framework.Placed) {
	allowed := make([]int32, len(budgets))
	for i, b := range budgets {
		allowed[i] = b.Status.DisruptionsAllowed
	}
	for _, p := range pods {
		keep := false
		for i, b := range budgets {
			if b.Namespace != p.Namespace || len(p.Labels) == 0 || b.selector.Empty() || !b.selector.Matches(p.Labels) {
				continue
			}
			if _, counted := b.Status.DisruptedPods[p.Name]; counted {
				continue
			}
			allowed[i]--
			keep = keep || allowed[i] < 0
		}
		if keep {
			kept = append(kept, p)
		} else {
			rest = append(rest, p)
		}
	}
	return kept, rest
}

// best is the sacrifice that upstream would make: the fewest pods under a budget, then the lowest of the highest priorities,
// the lowest sum of priorities, the fewest victims, the youngest of the most important ones.
func best(list []sacrifice) sacrifice {
	return slices.MinFunc(list, func(a, b sacrifice) int {
		return cmp.Or(cmp.Compare(a.violated, b.violated), cmp.Compare(a.victims[0].Priority, b.victims[0].Priority), cmp.Compare(a.sum(), b.sum()),
			cmp.Compare(len(a.victims), len(b.victims)), b.started().Compare(a.started()))
	})
}

func (s sacrifice) sum() (sum int64) {
	for _, v := range s.victims {
		sum += int64(v.Priority) + 1<<31 // so that more of a negative priority are not less
	}
	return sum
}

// started is when the first of the most important victims was.
func (s sacrifice) started() time.Time {
	first := s.victims[0].Started
	for _, v := range s.victims {
		if v.Priority == s.victims[0].Priority && v.Started.Before(first) {
			first = v.Started
		}
	}
	return first
}

// mayPreempt says why others need not go for p, "" where they may have to: it does not want that, or those that it has sent
// away are on their way out.
func mayPreempt(p *corev1.Pod, nominated *framework.Node) string {
	if p.Spec.PreemptionPolicy != nil && *p.Spec.PreemptionPolicy == corev1.PreemptNever {
		return "not eligible due to preemptionPolicy=Never."
	}
	if nominated == nil {
		return ""
	}
	for _, other := range nominated.Pods {
		if other.Leaving && other.Priority < priority(p) {
			return "not eligible due to a terminating pod on the nominated node."
		}
	}
	return ""
}
