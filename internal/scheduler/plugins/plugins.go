// Package plugins holds the scheduler's plugins, one file each, and the list of those in use.
//
// Names, reasons and rules are upstream's (kubernetes.io/docs/reference/scheduling/config). All are pure and safe for
// concurrent use; tests are tables beside the files.
package plugins

import "minato.dev/minato/internal/scheduler/framework"

// Default is what the default profile runs, in upstream's order.
func Default() []framework.Plugin {
	return []framework.Plugin{
		NodeUnschedulable{},
		NodeName{},
		TaintToleration{},
		NodeAffinity{},
		NodePorts{},
		NodeResourcesFit{},
		DynamicResources{},
		PodTopologySpread{},
		InterPodAffinity{},
		BalancedAllocation{},
		ImageLocality{},
	}
}
