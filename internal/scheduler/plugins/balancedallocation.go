package plugins

import "minato.dev/minato/internal/scheduler/framework"

// BalancedAllocation prefers nodes whose cpu and memory would be used to the same degree.
type BalancedAllocation struct{}

// Name is upstream's.
func (BalancedAllocation) Name() string { return "NodeResourcesBalancedAllocation" }

// Weight is upstream's.
func (BalancedAllocation) Weight() int64 { return 1 }

// Score is 100 less the distance between the two shares in use.
func (BalancedAllocation) Score(p *framework.Pod, n *framework.Node) int64 {
	cpu, memory := free(p, n)
	if cpu < memory {
		cpu, memory = memory, cpu
	}
	return 100 - (cpu-memory)/2
}
