package plugins

import "minato.dev/minato/internal/scheduler/framework"

// NodeName honours a pod that names its node itself.
type NodeName struct{}

// Name is upstream's.
func (NodeName) Name() string { return "NodeName" }

// Filter refuses every node but the named one.
func (NodeName) Filter(p *framework.Pod, n *framework.Node) []string {
	if p.Spec.NodeName == "" || p.Spec.NodeName == n.Name {
		return nil
	}
	return []string{"node(s) didn't match the requested node name"}
}
