package scheduler

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Verdict is why a pod runs where it runs, or why it runs nowhere: the answer to "why is it Pending?".
type Verdict struct {
	Node       string              // chosen node, or ""
	Nodes      int                 // how many were looked at
	Refused    map[string][]string // by node: reasons, in the words of the plugins
	Plugins    map[string]string   // by node: the plugin that refused it
	Preemption string              // why nobody was sent away for the pod, where that was thought of
}

// lasting are the plugins whose refusal no pod can lift by going.
var lasting = []string{"NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "DynamicResources"}

func (v *Verdict) hopeless(node string) bool { return slices.Contains(lasting, v.Plugins[node]) }

func (v *Verdict) refused(node, plugin string, reasons []string) {
	if v.Refused == nil {
		v.Refused, v.Plugins = map[string][]string{}, map[string]string{}
	}
	v.Refused[node], v.Plugins[node] = reasons, plugin
}

// Message is upstream's sentence for the PodScheduled condition and the FailedScheduling event.
func (v Verdict) Message() string {
	if v.Nodes == 0 {
		return "no nodes available to schedule pods"
	}
	counts := map[string]int{}
	for _, reasons := range v.Refused {
		for _, r := range reasons {
			counts[r]++
		}
	}
	parts := make([]string, 0, len(counts))
	for r, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, r))
	}
	sort.Strings(parts)
	text := fmt.Sprintf("0/%d nodes are available: %s.", v.Nodes, strings.Join(parts, ", "))
	if v.Preemption != "" {
		text += " preemption: " + v.Preemption
	}
	return text
}
