package plugins

import (
	"sort"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/scheduler/framework"
)

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
	if int64(len(n.Pods))+1 > n.Allocatable[corev1.ResourcePods] {
		short = append(short, "Too many pods")
	}
	var names []string
	for name, want := range p.Requests {
		if want > 0 && want > n.Allocatable[name]-n.Used[name] {
			names = append(names, string(name))
		}
	}
	sort.Strings(names)
	for _, name := range names {
		short = append(short, "Insufficient "+name)
	}
	return short
}

// Score is the mean free share of cpu and memory after the pod is placed.
func (NodeResourcesFit) Score(p *framework.Pod, n *framework.Node) int64 {
	return (free(p, n, corev1.ResourceCPU) + free(p, n, corev1.ResourceMemory)) / 2
}

func free(p *framework.Pod, n *framework.Node, r corev1.ResourceName) int64 {
	all := n.Allocatable[r]
	used := n.NonZeroUsed[r] + p.NonZero[r]
	if all <= 0 || used > all {
		return 0
	}
	return (all - used) * 100 / all
}
