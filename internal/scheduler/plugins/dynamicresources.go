package plugins

import "minato.dev/minato/internal/scheduler/framework"

// DynamicResources stands where resource claims will be allocated. Until then it keeps pods that have any waiting, and
// says why: a pod without its devices must not run.
type DynamicResources struct{}

// Name is upstream's.
func (DynamicResources) Name() string { return "DynamicResources" }

// Filter refuses every node to a pod with resource claims.
func (DynamicResources) Filter(p *framework.Pod, _ *framework.Node) []string {
	if len(p.Spec.ResourceClaims) == 0 {
		return nil
	}
	return []string{"node(s) cannot serve resource claims: dynamic resource allocation is not built in this version"}
}
