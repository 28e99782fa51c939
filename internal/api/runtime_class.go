package api

import (
	"context"
	"time"

	nodev1 "k8s.io/api/node/v1"
	nodeutil "k8s.io/kubernetes/pkg/api/node"
	nodes "k8s.io/kubernetes/pkg/apis/node"
	"k8s.io/kubernetes/pkg/apis/node/validation"
)

func runtimeClass() kind {
	return kind{
		group: "node.k8s.io",
		name:  "RuntimeClass", plural: "runtimeclasses",
		cluster: true,
		strategy: &Strategy{
			Validate:       valid(validation.ValidateRuntimeClass),
			ValidateUpdate: validBoth(validation.ValidateRuntimeClass, validation.ValidateRuntimeClassUpdate),
			Warnings: warn(func(_ context.Context, c, _ *nodes.RuntimeClass) []string {
				return nodeutil.GetWarningsForRuntimeClass(c)
			}),
			Declarative:            rules(validation.NodeNormalizationRules),
			AllowCreateOnUpdate:    true,
			RequireResourceVersion: true,
		},
		columns: table("Name", "Handler", "Age"),
		row: typed(func(c *nodev1.RuntimeClass, now time.Time) []any {
			return []any{c.Name, c.Handler, age(c.CreationTimestamp, now)}
		}),
	}
}
