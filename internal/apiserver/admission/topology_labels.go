package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podTopologyLabels copies a node's zone and region to the pods that are bound to it, so that they can read them.
var podTopologyLabels = plugin{
	name: "PodTopologyLabels",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return op == Create && (gr == pods && (sub == "" || sub == "binding") || gr == corev1.Resource("bindings"))
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		switch o := a.Object.(type) {
		case *corev1.Binding:
			if o.Target.Kind == "Node" {
				o.Labels = withTopology(ctx, c, o.Target.Name, o.Labels)
			}
		case *corev1.Pod:
			if o.Spec.NodeName != "" {
				o.Labels = withTopology(ctx, c, o.Spec.NodeName, o.Labels)
			}
		}
		return nil
	},
}

// withTopology returns labels with those of node. A node that is not there has none.
func withTopology(ctx context.Context, c *Config, name string, labels map[string]string) map[string]string {
	node, err := read[*corev1.Node](ctx, c.Objects, nodes, "", name)
	if err != nil {
		return labels
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
		if v, ok := node.Labels[key]; ok {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[key] = v
		}
	}
	return labels
}
