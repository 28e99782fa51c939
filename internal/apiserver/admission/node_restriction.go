package admission

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var nodeRestriction = plugin{name: "NodeRestriction", handles: func(Operation, schema.GroupResource, string) bool { return false },
	admit: func(context.Context, *Config, *Attributes) error { return nil }}
