package resourcequota

import (
	"context"
	"log/slog"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// others follows the deletions of resources that some quota counts, from when the first quota does.
type others struct {
	vs      *client.Views
	log     *slog.Logger
	changed func(gr schema.GroupResource, namespace string) []control.Key

	mu     sync.Mutex
	add    func(control.Key)
	known  map[schema.GroupResource]bool
	wanted []schema.GroupResource
	wake   chan struct{} // holds a token while there is something wanted
}

func (o *others) source() control.Source {
	o.known, o.wake = map[schema.GroupResource]bool{}, make(chan struct{}, 1)
	return control.Custom(func(context.Context) error { return nil }, func(add func(control.Key)) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.add = add
	})
}

// follow has the resource followed, if it is not yet.
func (o *others) follow(gr schema.GroupResource) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[gr] {
		return
	}
	o.known[gr] = true
	o.wanted = append(o.wanted, gr)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run starts a mirror of the metadata of each resource that is wanted.
func (o *others) run(ctx context.Context) error {
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return nil
		}
		if err := o.start(ctx); err != nil && ctx.Err() == nil {
			o.log.Warn("quotas: cannot follow what they count, will try again with the next quota", "err", err)
		}
	}
}

func (o *others) start(ctx context.Context) error {
	o.mu.Lock()
	wanted := o.wanted
	o.wanted = nil
	o.mu.Unlock()
	served, _, err := client.Discover(ctx, o.vs.Client())
	for _, gr := range wanted {
		found := false
		for _, s := range served {
			if s.GVR.GroupResource() == gr && s.Namespaced && s.Can("list", "watch") {
				found = true
				if err := o.view(ctx, s); err != nil {
					return err
				}
			}
		}
		if !found {
			o.forget(gr)
		}
	}
	return err
}

// forget lets the next quota that counts the resource look for it again.
func (o *others) forget(gr schema.GroupResource) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.known, gr)
}

// view follows one resource. What was deleted before it was followed is counted then.
func (o *others) view(ctx context.Context, s client.Served) error {
	v := client.ViewOf(o.vs, client.MetadataKind(s.GVR, s.Kind, true))
	v.OnChange(func(old, new *metav1.PartialObjectMetadata) {
		if old == nil || new != nil && old.Generation == new.Generation {
			return
		}
		for _, k := range o.changed(s.GVR.GroupResource(), old.Namespace) {
			o.add(k)
		}
	})
	if err := v.WaitSynced(ctx); err != nil {
		return err
	}
	for _, k := range o.changed(s.GVR.GroupResource(), "") {
		o.add(k)
	}
	return nil
}
