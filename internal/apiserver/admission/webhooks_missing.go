package admission

import (
	"context"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// webhooksMissing stands where webhooks and admission policies will be called. Until they are, it tells whoever writes
// such a configuration, and the log, that nothing will happen.
func webhooksMissing() plugin {
	var told sync.Map
	return plugin{
		name: "WebhooksMissing",
		handles: func(op Operation, gr schema.GroupResource, sub string) bool {
			return gr.Group == admissionregistrationv1.GroupName && sub == "" && (op == Create || op == Update)
		},
		validate: func(_ context.Context, c *Config, a *Attributes) error {
			a.warn("this server stores %s but does not call them yet: requests are admitted without them", a.Resource.Resource)
			key := a.Resource.Resource + "/" + a.name()
			if _, before := told.LoadOrStore(key, true); !before {
				c.Log.Warn("admission configuration is stored but has no effect", "resource", a.Resource.Resource, "name", a.name())
			}
			return nil
		},
	}
}
