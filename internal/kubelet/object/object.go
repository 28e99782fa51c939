// Package object keeps the config maps and secrets that the pods of a node refer to, one watch an object.
//
// A node may not list all secrets, so each object is followed by name for as long as some pod holds it. Pod workers
// call Hold and Release; package volume and package steps read with ConfigMap and Secret. All methods are safe for
// concurrent use. To test against it, give it a client of any API server.
package object

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// Ref names an object; Secret says which of the two kinds it is.
type Ref struct {
	Secret          bool
	Namespace, Name string
}

// Cache is the set of followed objects of one node.
type Cache struct {
	scope   *run.Scope
	maps    *kind[*corev1.ConfigMap]
	secrets *kind[*corev1.Secret]

	mu    sync.Mutex
	held  map[Ref]*follower
	owner map[types.UID]map[Ref]bool
}

type follower struct {
	stop   context.CancelFunc
	owners map[types.UID]func()
}

// New returns an empty cache whose watches live until ctx ends; the owner calls Wait afterwards.
func New(ctx context.Context, c *client.Client, log *slog.Logger) *Cache {
	return &Cache{scope: run.NewScope(ctx), held: map[Ref]*follower{}, owner: map[types.UID]map[Ref]bool{},
		maps: newKind(client.Of(c, client.ConfigMaps), log), secrets: newKind(client.Of(c, client.Secrets), log)}
}

// Wait returns after all watches have ended.
func (c *Cache) Wait() error { return c.scope.Wait() }

// ConfigMap returns the shared object, from its watch where one has delivered it, else from the API.
func (c *Cache) ConfigMap(ctx context.Context, ns, name string) (*corev1.ConfigMap, error) {
	return c.maps.get(ctx, ns, name)
}

// Secret is ConfigMap for secrets.
func (c *Cache) Secret(ctx context.Context, ns, name string) (*corev1.Secret, error) {
	return c.secrets.get(ctx, ns, name)
}

// Hold makes owner the holder of exactly refs: they are followed, and changed is called (it must not block) after each
// change of one of them.
func (c *Cache) Hold(owner types.UID, refs []Ref, changed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := map[Ref]bool{}
	for _, r := range refs {
		now[r] = true
		f := c.held[r]
		if f == nil {
			f = c.follow(r)
			c.held[r] = f
		}
		f.owners[owner] = changed
	}
	for r := range c.owner[owner] {
		if !now[r] {
			c.drop(owner, r)
		}
	}
	c.owner[owner] = now
}

// Release is Hold of nothing.
func (c *Cache) Release(owner types.UID) {
	c.Hold(owner, nil, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owner, owner)
}

func (c *Cache) drop(owner types.UID, r Ref) {
	f := c.held[r]
	delete(f.owners, owner)
	if len(f.owners) == 0 {
		f.stop()
		delete(c.held, r)
	}
}

func (c *Cache) follow(r Ref) *follower {
	ctx, cancel := context.WithCancel(c.scope.Context())
	f := &follower{stop: cancel, owners: map[types.UID]func(){}}
	changed := func() { c.changed(r) }
	c.scope.Go("follow object", func(context.Context) error {
		if r.Secret {
			c.secrets.follow(ctx, r, changed)
		} else {
			c.maps.follow(ctx, r, changed)
		}
		return nil
	})
	return f
}

func (c *Cache) changed(r Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.held[r]; f != nil {
		for _, tell := range f.owners {
			tell()
		}
	}
}

// kind holds what the watches of one kind delivered. A key is absent until its watch is up.
type kind[T client.Object] struct {
	r     client.Resource[T]
	log   *slog.Logger
	mu    sync.Mutex
	known map[types.NamespacedName]T
}

func newKind[T client.Object](r client.Resource[T], log *slog.Logger) *kind[T] {
	return &kind[T]{r: r, log: log, known: map[types.NamespacedName]T{}}
}

func (k *kind[T]) get(ctx context.Context, ns, name string) (T, error) {
	k.mu.Lock()
	t, ok := k.known[types.NamespacedName{Namespace: ns, Name: name}]
	k.mu.Unlock()
	if ok {
		return t, nil
	}
	return k.r.Get(ctx, ns, name)
}

func (k *kind[T]) put(r Ref, t T, exists bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
	if exists {
		k.known[key] = t
	} else {
		delete(k.known, key)
	}
}

// follow keeps one object until ctx ends, with a growing pause after failures.
func (k *kind[T]) follow(ctx context.Context, r Ref, changed func()) {
	const first, most = 100 * time.Millisecond, 30 * time.Second
	pause := first
	var none T
	defer k.put(r, none, false)
	for ctx.Err() == nil {
		began := time.Now()
		err := k.once(ctx, r, changed)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > most {
			pause = first
		}
		k.put(r, none, false)
		k.log.Debug("watch of one object ended", "namespace", r.Namespace, "name", r.Name, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, most)
	}
}

// once lists the object and applies the events of one watch.
func (k *kind[T]) once(ctx context.Context, r Ref, changed func()) error {
	o := metav1.ListOptions{FieldSelector: "metadata.name=" + r.Name}
	items, list, err := k.r.List(ctx, r.Namespace, o)
	if err != nil {
		return err
	}
	for _, t := range items {
		k.put(r, t, true)
		changed()
	}
	o.ResourceVersion = list.GetResourceVersion()
	w, err := k.r.Watch(ctx, r.Namespace, o)
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if err != nil {
			return err
		}
		switch e.Type {
		case "ADDED", "MODIFIED":
			k.put(r, e.Object, true)
			changed()
		case "DELETED":
			var none T
			k.put(r, none, false)
			changed()
		}
	}
}

// NotFound says that err means that an object does not exist.
func NotFound(err error) bool { return apierrors.IsNotFound(err) }

// Refs lists the config maps and secrets that pod names in its spec.
func Refs(pod *corev1.Pod) []Ref {
	var refs []Ref
	add := func(secret bool, name string) {
		if name != "" {
			refs = append(refs, Ref{secret, pod.Namespace, name})
		}
	}
	for _, s := range pod.Spec.ImagePullSecrets {
		add(true, s.Name)
	}
	containers := func(list []corev1.Container) {
		for i := range list {
			containerRefs(&list[i], add)
		}
	}
	containers(pod.Spec.InitContainers)
	containers(pod.Spec.Containers)
	for i := range pod.Spec.Volumes {
		volumeRefs(&pod.Spec.Volumes[i], add)
	}
	return refs
}

func containerRefs(c *corev1.Container, add func(secret bool, name string)) {
	for _, e := range c.EnvFrom {
		if e.ConfigMapRef != nil {
			add(false, e.ConfigMapRef.Name)
		}
		if e.SecretRef != nil {
			add(true, e.SecretRef.Name)
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			add(false, e.ValueFrom.ConfigMapKeyRef.Name)
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			add(true, e.ValueFrom.SecretKeyRef.Name)
		}
	}
}

func volumeRefs(v *corev1.Volume, add func(secret bool, name string)) {
	if v.ConfigMap != nil {
		add(false, v.ConfigMap.Name)
	}
	if v.Secret != nil {
		add(true, v.Secret.SecretName)
	}
	if v.Projected == nil {
		return
	}
	for _, s := range v.Projected.Sources {
		if s.ConfigMap != nil {
			add(false, s.ConfigMap.Name)
		}
		if s.Secret != nil {
			add(true, s.Secret.Name)
		}
	}
}
