package apiserver

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"weak"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/store"
)

// Objects is the door for the server's own parts (authentication, authorisation, admission, bootstrap), past all three.
// It reads decoded objects from the cache in their storage version; they are shared: copy before changing.
type Objects struct {
	s *Server

	mu      sync.Mutex
	decoded map[string]decoded
	follows []*follower
}

// decoded is an object that was decoded lately, for as long as the collector leaves it.
type decoded struct {
	revision int64
	object   weak.Pointer[sharedObject]
}

type sharedObject struct{ obj api.Object }

// maxDecoded bounds what is remembered; beyond it everything is forgotten at once, which is simple and rare.
const maxDecoded = 2048

func newObjects(s *Server) *Objects { return &Objects{s: s, decoded: map[string]decoded{}} }

// Get returns one object or an error for which apierrors.IsNotFound holds. ns is "" for cluster-scoped kinds.
// What the cache does not have it looks for again when the cache has seen all that was acknowledged.
func (o *Objects) Get(ctx context.Context, gr schema.GroupResource, ns, name string) (runtime.Object, error) {
	r, err := o.kind(gr)
	if err != nil {
		return nil, err
	}
	c, ok := o.s.cache.Get(r.Key(ns, name))
	if !ok {
		if _, err := o.s.cache.Fresh(ctx); err != nil {
			return nil, err
		}
		if c, ok = o.s.cache.Get(r.Key(ns, name)); !ok {
			return nil, apierrors.NewNotFound(gr, name)
		}
	}
	return o.decode(r, c)
}

// List returns the objects of namespace ns ("" for all) in key order.
func (o *Objects) List(_ context.Context, gr schema.GroupResource, ns string) ([]runtime.Object, error) {
	r, err := o.kind(gr)
	if err != nil {
		return nil, err
	}
	snap, err := o.s.cache.Snapshot(r.Prefix + "/")
	if err != nil {
		return nil, err
	}
	if snap.Len() == 0 { // as of most kinds that every write asks for
		return nil, nil
	}
	var out []runtime.Object
	snap.AscendPrefix(r.Key(ns, ""), "", func(c *cache.Object) bool {
		var obj api.Object
		if obj, err = o.decode(r, c); err == nil {
			out = append(out, obj)
		}
		return err == nil
	})
	return out, err
}

func (o *Objects) kind(gr schema.GroupResource) (*resource, error) {
	if r := o.s.kinds[gr]; r != nil {
		return r, nil
	}
	return nil, apierrors.NewInternalError(errors.New("no stored kind " + gr.String()))
}

// decode returns the shared decoded form of a cached object.
func (o *Objects) decode(r *resource, c *cache.Object) (api.Object, error) {
	o.mu.Lock()
	d, ok := o.decoded[c.Key]
	o.mu.Unlock()
	if ok && d.revision == c.Revision {
		if s := d.object.Value(); s != nil {
			return s.obj, nil
		}
	}
	obj, err := r.object(c)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.decoded) >= maxDecoded {
		clear(o.decoded)
	}
	o.decoded[c.Key] = decoded{c.Revision, weak.Make(&sharedObject{obj})}
	return obj, nil
}

// Create stores obj as it is, with a UID and creation time, past admission and validation.
func (o *Objects) Create(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error {
	r, hub, err := o.own(gr, obj)
	if err != nil {
		return err
	}
	hub.SetUID(types.UID(uuid.NewString()))
	hub.SetCreationTimestamp(metav1.NewTime(o.s.cfg.Now()))
	hub.SetResourceVersion("")
	value, err := api.EncodeStorage(hub)
	if err != nil {
		return err
	}
	_, err = o.s.store.Create(ctx, r.Key(hub.GetNamespace(), hub.GetName()), value, r.lifetime())
	if errors.Is(err, store.ErrExists) {
		return apierrors.NewAlreadyExists(gr, hub.GetName())
	}
	return err
}

// Update replaces the object whose resourceVersion obj carries; Conflict where that is no longer current.
func (o *Objects) Update(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error {
	r, hub, err := o.own(gr, obj)
	if err != nil {
		return err
	}
	expect, err := strconv.ParseInt(hub.GetResourceVersion(), 10, 64)
	if err != nil {
		return apierrors.NewBadRequest("resourceVersion: " + err.Error())
	}
	hub.SetResourceVersion("")
	value, err := api.EncodeStorage(hub)
	if err != nil {
		return err
	}
	_, err = o.s.store.Update(ctx, r.Key(hub.GetNamespace(), hub.GetName()), value, expect, r.lifetime())
	var conflict *store.ConflictError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return apierrors.NewNotFound(gr, hub.GetName())
	case errors.As(err, &conflict):
		return apierrors.NewConflict(gr, hub.GetName(), errors.New(optimisticLock))
	}
	return err
}

// own copies obj into the storage type with defaults.
func (o *Objects) own(gr schema.GroupResource, obj runtime.Object) (*resource, api.Object, error) {
	r, err := o.kind(gr)
	if err != nil {
		return nil, nil, err
	}
	c := obj.DeepCopyObject()
	api.Default(c)
	hub, err := r.Hub(c)
	return r, hub, err
}
