package admission

import (
	"context"
	"slices"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// uncalled are the kinds that configure admission and that this server stores without acting on them.
var uncalled = []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"}

// webhooksMissing stands where webhooks will be called. Until they are, it tells whoever writes
// such a configuration, and the log, that nothing will happen. Those that are there already are told of at the first write.
func webhooksMissing() plugin {
	w := &webhookWarner{told: map[string]bool{}}
	return plugin{
		name: "WebhooksMissing",
		handles: func(op Operation, gr schema.GroupResource, sub string) bool {
			return sub == "" && (op == Create || op == Update && gr.Group == admissionregistrationv1.GroupName)
		},
		validate: func(ctx context.Context, c *Config, a *Attributes) error {
			w.first.Do(func() { w.existing(ctx, c) })
			if a.Resource.Group == admissionregistrationv1.GroupName && slices.Contains(uncalled, a.Resource.Resource) {
				a.warn("this server stores %s but does not act on them yet: requests are admitted without them", a.Resource.Resource)
				w.tell(c, a.Resource.Resource, a.name())
			}
			return nil
		},
	}
}

// webhookWarner tells of each configuration once.
type webhookWarner struct {
	first sync.Once
	mu    sync.Mutex
	told  map[string]bool
}

func (w *webhookWarner) existing(ctx context.Context, c *Config) {
	for _, resource := range uncalled {
		objs, err := c.Objects.List(ctx, admissionregistrationv1.Resource(resource), "")
		if err != nil {
			c.Log.Warn("cannot look for admission configurations, which have no effect", "resource", resource, "err", err)
			continue
		}
		for _, o := range objs {
			if m, ok := o.(metav1.Object); ok {
				w.tell(c, resource, m.GetName())
			}
		}
	}
}

func (w *webhookWarner) tell(c *Config, resource, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key := resource + "/" + name; !w.told[key] {
		w.told[key] = true
		c.Log.Warn("admission configuration is stored but has no effect", "resource", resource, "name", name)
	}
}
