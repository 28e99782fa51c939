// Package garbage deletes what nobody owns any more, and carries out foreground and orphaning deletion.
//
// It follows the metadata of every kind that can be deleted (found by discovery) in one graph by UID. An object whose
// owners are all gone is deleted; one with some owners left loses the dead references; an owner that is deleted in the
// foreground goes after the dependents that block it; an orphaning one after its dependents have let go. That an
// owner is gone is always checked with the API server first: the graph may be behind, and must never delete on that.
// Rules are upstream's (kubernetes.io/docs/concepts/architecture/garbage-collection).
package garbage

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// ignored are kinds that come and go in numbers and neither own nor are owned, as upstream ignores them.
var ignored = map[schema.GroupResource]bool{
	{Resource: "events"}:                         true,
	{Group: "events.k8s.io", Resource: "events"}: true,
}

type collector struct {
	views *client.Views
	c     *client.Client
	log   *slog.Logger
	graph *graph

	mu    sync.Mutex
	kinds map[schema.GroupKind]client.Served
}

// New returns the controller. It discovers the kinds when it starts.
func New(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
	g := &collector{views: vs, c: vs.Client(), log: log, graph: newGraph(), kinds: map[schema.GroupKind]client.Served{}}
	return control.Controller{
		Name: "garbage", Workers: 4,
		Sources:   []control.Source{control.Custom(g.start, g.subscribe)},
		Writes:    []string{"*:ownerless"},
		Reconcile: g.reconcile,
	}
}

// start discovers the kinds and waits for the first list of each.
func (g *collector) start(ctx context.Context) error {
	all, _, err := client.Discover(ctx, g.c)
	if err != nil {
		return err
	}
	g.mu.Lock()
	for _, r := range all {
		if r.Can("list", "watch", "delete") && !ignored[r.GVR.GroupResource()] {
			g.kinds[schema.GroupKind{Group: r.GVR.Group, Kind: r.Kind}] = r
		}
	}
	kinds := g.served()
	g.mu.Unlock()
	for _, r := range kinds {
		if err := g.view(r).WaitSynced(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *collector) served() (out []client.Served) {
	for _, r := range g.kinds {
		out = append(out, r)
	}
	return out
}

func (g *collector) view(r client.Served) *client.View[*metav1.PartialObjectMetadata] {
	return client.ViewOf(g.views, client.MetadataKind(r.GVR, r.Kind, r.Namespaced))
}

func (g *collector) subscribe(add func(control.Key)) {
	g.mu.Lock()
	kinds := g.served()
	g.mu.Unlock()
	for _, r := range kinds {
		g.view(r).OnChange(func(old, new *metav1.PartialObjectMetadata) {
			var look []types.UID
			if new == nil || old != nil && old.UID != new.UID {
				look = g.graph.drop(old.UID)
			}
			if new != nil && (old == nil || old.UID != new.UID || !same(old, new)) {
				look = append(look, g.graph.put(newObject(r.GVR, new))...)
			}
			for _, uid := range look {
				add(control.Key{Name: string(uid)})
			}
		})
	}
}

// same reports whether nothing that the graph holds has changed.
func same(a, b *metav1.PartialObjectMetadata) bool {
	return slices.EqualFunc(a.OwnerReferences, b.OwnerReferences, func(x, y metav1.OwnerReference) bool {
		return x.UID == y.UID && blocks(x) == blocks(y)
	}) && slices.Equal(a.Finalizers, b.Finalizers) && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil)
}

func blocks(ref metav1.OwnerReference) bool {
	return ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion
}
