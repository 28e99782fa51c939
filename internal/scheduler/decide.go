package scheduler

import (
	"math/rand/v2"
	"sort"

	"minato.dev/minato/internal/scheduler/framework"
)

// decide asks every plugin about every node and picks the best that fits. It is pure: draw breaks ties.
func decide(p *framework.Pod, c framework.Cluster, plugins []framework.Plugin, draw *rand.Rand) Verdict {
	v := Verdict{Nodes: len(c.Nodes), Refused: map[string][]string{}, Plugins: map[string]bool{}}
	plugins = prepare(p, c, plugins)
	var top []string // the nodes with the highest score so far
	var most int64
	for name, n := range c.Nodes {
		if plugin, reasons := refuse(p, n, plugins); reasons != nil {
			v.Refused[name] = reasons
			v.Plugins[plugin] = true
			continue
		}
		switch s := score(p, n, plugins); {
		case len(top) == 0 || s > most:
			top, most = append(top[:0], name), s
		case s == most:
			top = append(top, name)
		}
	}
	if len(top) > 0 {
		sort.Strings(top) // the map has no order, and draw decides alone
		v.Node = top[draw.IntN(len(top))]
	}
	return v
}

// prepare puts what has seen the whole cluster in the place of the plugins that need to.
func prepare(p *framework.Pod, c framework.Cluster, plugins []framework.Plugin) []framework.Plugin {
	out := make([]framework.Plugin, 0, len(plugins))
	for _, pl := range plugins {
		if pre, ok := pl.(framework.Preparer); ok {
			if pl = pre.Prepare(p, c); pl == nil {
				continue
			}
		}
		out = append(out, pl)
	}
	return out
}

// refuse returns the first plugin that does not want p on n, with its reasons.
func refuse(p *framework.Pod, n *framework.Node, plugins []framework.Plugin) (string, []string) {
	for _, pl := range plugins {
		if f, ok := pl.(framework.Filter); ok {
			if reasons := f.Filter(p, n); len(reasons) > 0 {
				return pl.Name(), reasons
			}
		}
	}
	return "", nil
}

func score(p *framework.Pod, n *framework.Node, plugins []framework.Plugin) (sum int64) {
	for _, pl := range plugins {
		if s, ok := pl.(framework.Scorer); ok {
			sum += s.Weight() * s.Score(p, n)
		}
	}
	return sum
}
