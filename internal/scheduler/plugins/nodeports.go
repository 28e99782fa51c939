package plugins

import "minato.dev/minato/internal/scheduler/framework"

// NodePorts keeps two pods from asking for the same port of one node.
type NodePorts struct{}

// Name is upstream's.
func (NodePorts) Name() string { return "NodePorts" }

// Filter refuses a node on which a wanted host port is taken.
func (NodePorts) Filter(p *framework.Pod, n *framework.Node) []string {
	for _, want := range p.Ports {
		for _, other := range n.Pods {
			for _, taken := range other.Ports {
				if clash(want, taken) {
					return []string{"node(s) didn't have free ports for the requested pod ports"}
				}
			}
		}
	}
	return nil
}

func clash(a, b framework.HostPort) bool {
	if a.Port != b.Port || a.Protocol != b.Protocol {
		return false
	}
	wild := func(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
	return wild(a.IP) || wild(b.IP) || a.IP == b.IP
}
