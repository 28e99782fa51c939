package scheduler

import (
	"math/rand/v2"

	"minato.dev/minato/internal/scheduler/framework"
)

// decide asks every plugin about every node and picks the best that fits. It is pure: draw breaks ties.
func decide(p *framework.Pod, c framework.Cluster, plugins []framework.Plugin, draw *rand.Rand) Verdict {
	v := Verdict{Nodes: len(c.Nodes)}
	l := line(p, c, plugins)
	var top []*framework.Node // those with the highest score so far
	var most int64
	for _, n := range c.Nodes {
		if plugin, reasons := l.refuseBeside(p, n, c); reasons != nil {
			v.refused(n.Name, plugin, reasons)
			continue
		}
		switch s := l.score(p, n); {
		case len(top) == 0 || s > most:
			top, most = append(top[:0], n), s
		case s == most:
			top = append(top, n)
		}
	}
	if len(top) > 0 {
		v.Node = top[draw.IntN(len(top))].Name
	}
	return v
}

// lineup is the plugins for one pod, by what they do.
type lineup struct {
	filters []framework.Filter
	scorers []framework.Scorer
	weights []int64
}

// line puts what has seen the whole cluster in the place of the plugins that need to.
func line(p *framework.Pod, c framework.Cluster, plugins []framework.Plugin) (l lineup) {
	for _, pl := range plugins {
		if pre, ok := pl.(framework.Preparer); ok {
			if pl = pre.Prepare(p, c); pl == nil {
				continue
			}
		}
		if f, ok := pl.(framework.Filter); ok {
			l.filters = append(l.filters, f)
		}
		if s, ok := pl.(framework.Scorer); ok {
			l.scorers, l.weights = append(l.scorers, s), append(l.weights, s.Weight())
		}
	}
	return l
}

// refuse returns the first plugin that does not want p on n, with its reasons.
func (l *lineup) refuse(p *framework.Pod, n *framework.Node) (string, []string) {
	for _, f := range l.filters {
		if reasons := f.Filter(p, n); len(reasons) > 0 {
			return f.Name(), reasons
		}
	}
	return "", nil
}

func (l *lineup) score(p *framework.Pod, n *framework.Node) (sum int64) {
	for i, s := range l.scorers {
		sum += l.weights[i] * s.Score(p, n)
	}
	return sum
}
