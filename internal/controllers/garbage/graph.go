package garbage

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// object is one node of the graph: where it is, whose it is, and whether it is being deleted.
type object struct {
	gvr       schema.GroupVersionResource
	namespace string
	name      string
	uid       types.UID
	owners    []metav1.OwnerReference
	deleting  bool
	finalizer string // metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents or ""
}

// graph holds every object that owns or is owned, by UID. It is safe for concurrent use.
type graph struct {
	mu         sync.Mutex
	objects    map[types.UID]*object
	dependents map[types.UID]map[types.UID]bool // owner to dependents
}

func newGraph() *graph {
	return &graph{objects: map[types.UID]*object{}, dependents: map[types.UID]map[types.UID]bool{}}
}

func newObject(gvr schema.GroupVersionResource, m *metav1.PartialObjectMetadata) *object {
	o := &object{gvr: gvr, namespace: m.Namespace, name: m.Name, uid: m.UID, owners: m.OwnerReferences, deleting: m.DeletionTimestamp != nil}
	for _, f := range m.Finalizers {
		if f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents {
			o.finalizer = f
		}
	}
	return o
}

// put takes in an object's newest state and returns the UIDs to look at.
func (g *graph) put(o *object) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if was := g.objects[o.uid]; was != nil {
		g.unlink(was)
		look = g.waiting(was) // it may have been the last that one of them waits for
	}
	g.objects[o.uid] = o
	for _, ref := range o.owners {
		if g.dependents[ref.UID] == nil {
			g.dependents[ref.UID] = map[types.UID]bool{}
		}
		g.dependents[ref.UID][o.uid] = true
		if owner := g.objects[ref.UID]; owner != nil && owner.deleting && owner.finalizer != "" {
			look = append(look, ref.UID, o.uid)
		}
	}
	if len(o.owners) > 0 || o.deleting && o.finalizer != "" {
		look = append(look, o.uid)
	}
	return look
}

// drop takes out an object that is gone and returns the UIDs to look at: its dependents, and the owners that wait.
func (g *graph) drop(uid types.UID) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := g.objects[uid]
	if o == nil {
		return nil
	}
	g.unlink(o)
	delete(g.objects, uid)
	for d := range g.dependents[uid] {
		look = append(look, d)
	}
	return append(look, g.waiting(o)...)
}

// waiting returns those of o's owners that are being deleted and wait for their dependents. The lock is held.
func (g *graph) waiting(o *object) (owners []types.UID) {
	for _, ref := range o.owners {
		if owner := g.objects[ref.UID]; owner != nil && owner.deleting && owner.finalizer != "" {
			owners = append(owners, ref.UID)
		}
	}
	return owners
}

func (g *graph) unlink(o *object) {
	for _, ref := range o.owners {
		delete(g.dependents[ref.UID], o.uid)
		if len(g.dependents[ref.UID]) == 0 {
			delete(g.dependents, ref.UID)
		}
	}
}

func (g *graph) get(uid types.UID) *object {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.objects[uid]
}

// dependentsOf returns the objects that name uid as an owner.
func (g *graph) dependentsOf(uid types.UID) (out []*object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for d := range g.dependents[uid] {
		if o := g.objects[d]; o != nil {
			out = append(out, o)
		}
	}
	return out
}
