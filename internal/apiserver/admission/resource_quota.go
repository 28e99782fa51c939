package admission

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var resourceQuota = plugin{name: "ResourceQuota", handles: func(Operation, schema.GroupResource, string) bool { return false },
	validate: func(context.Context, *Config, *Attributes) error { return nil }}
