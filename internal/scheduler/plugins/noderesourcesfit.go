package plugins

import "minato.dev/minato/internal/scheduler/framework"

// NodeResourcesFit keeps a node's promises within what it can allocate, and prefers the emptier node
// (upstream's LeastAllocated over cpu and memory).
type NodeResourcesFit struct{}

// Name is upstream's.
func (NodeResourcesFit) Name() string { return "NodeResourcesFit" }

// Weight is upstream's.
func (NodeResourcesFit) Weight() int64 { return 1 }

// Filter names every resource of which too little is free.
func (NodeResourcesFit) Filter(p *framework.Pod, n *framework.Node) []string {
	var short []string
	if int64(len(n.Pods))+1 > n.Allocatable.Pods {
		short = append(short, "Too many pods")
	}
	for _, name := range p.Requests.Short(&n.Allocatable, &n.Used) {
		short = append(short, "Insufficient "+name)
	}
	return short
}

// Score is the mean free share of cpu and memory after the pod is placed.
func (NodeResourcesFit) Score(p *framework.Pod, n *framework.Node) int64 {
	cpu, memory := free(p, n)
	return (cpu + memory) / 2
}

// free is what would be left of a node, in hundredths of what it has.
func free(p *framework.Pod, n *framework.Node) (cpu, memory int64) {
	return share(n.Allocatable.CPU, n.NonZeroUsed.CPU+p.NonZero.CPU), share(n.Allocatable.Memory, n.NonZeroUsed.Memory+p.NonZero.Memory)
}

func share(all, used int64) int64 {
	if all <= 0 || used > all {
		return 0
	}
	return (all - used) * 100 / all
}
