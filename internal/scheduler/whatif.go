package scheduler

import (
	"slices"

	"minato.dev/minato/internal/scheduler/framework"
)

// question is whether a pod would fit on a node if other pods were not there. It is asked for many nodes and pods while the
// state is locked: what sees the whole cluster looks at it once, and follows who goes and comes back.
type question struct {
	p     *framework.Pod
	all   framework.Cluster
	alone lineup             // filters that look at one node
	wide  []framework.Filter // those that have seen the cluster; who had nothing to say about it has not about one with fewer pods
}

func newQuestion(p *framework.Pod, c framework.Cluster, plugins []framework.Plugin) *question {
	q := &question{p: p, all: c}
	for _, pl := range plugins {
		pre, prepares := pl.(framework.Preparer)
		if prepares {
			pl = pre.Prepare(p, c)
		}
		switch f, ok := pl.(framework.Filter); {
		case !ok:
		case prepares:
			q.wide = append(q.wide, f)
		default:
			q.alone.filters = append(q.alone.filters, f)
		}
	}
	return q
}

// trial is one node as it might be.
type trial struct {
	*question
	at   int
	node *framework.Node
	wide lineup
}

func (q *question) about(at int) *trial {
	return &trial{question: q, at: at, node: q.all.Nodes[at].Clone(), wide: lineup{filters: slices.Clone(q.wide)}}
}

func (t *trial) add(other *framework.Placed) {
	t.node.Add(other)
	t.follow(other, 1)
}

func (t *trial) remove(other *framework.Placed) {
	t.node.Remove(other.Namespace, other.Name)
	t.follow(other, -1)
}

func (t *trial) follow(other *framework.Placed, by int) {
	for i, f := range t.wide.filters {
		if f, ok := f.(framework.Follower); ok {
			t.wide.filters[i] = f.Follow(t.p, t.node, other, by)
		}
	}
}

// fits asks the filters that look at one node first.
func (t *trial) fits() bool {
	for _, l := range []*lineup{&t.alone, &t.wide} {
		if _, reasons := l.refuseBeside(t.p, t.node, t.all); reasons != nil {
			return false
		}
	}
	return true
}
