package bootstrap

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Store is where the objects go, past authentication and admission. Objects are complete, in their storage types, without
// resourceVersion on create; Get returns a shared object or an error for which apierrors.IsNotFound holds. Create
// must set UID and creation time; an AlreadyExists or Conflict from a second server is not an error to Ensure, which
// reads again. All methods are called concurrently.
type Store interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
	Create(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error
	Update(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error
}

// Config says what is particular to this cluster.
type Config struct {
	AdvertiseIP    net.IP // of the API server; becomes the kubernetes Service's endpoint
	AdvertisePort  int
	ServiceIP      net.IP    // ClusterIP of default/kubernetes
	ServiceCIDRs   []string  // of the ServiceCIDR "kubernetes"
	ClientCAPEM    []byte    // for extension-apiserver-authentication
	FrontProxyPEM  []byte    // the same, requestheader CA
	FrontProxyName string    // allowed common name, "front-proxy-client"
	Now            time.Time // of new conditions; zero: the clock's
}

// Result counts what Ensure did. Problems are objects that could not be brought in order without losing what a user
// wrote, one sentence each.
type Result struct {
	Created, Updated, Unchanged int
	Problems                    []string
}

// How many objects are in flight at once, and how often a race with another server is tried again.
const (
	atOnce  = 256
	retries = 5
)

// Object is any API object.
type Object interface {
	metav1.Object
	runtime.Object
}

// wanted is one object: how it is to be, and what is to become of one that is there already.
type wanted struct {
	gr  schema.GroupResource
	obj Object
	// revise returns a changed copy of have, nil where it is good as it is. A problem is reported and leaves have alone.
	revise func(have runtime.Object) (changed Object, problem string)
}

// keep is the revise of objects that are only created.
func keep(runtime.Object) (Object, string) { return nil, "" }

// Ensure brings all objects in order. It writes nothing where nothing differs, and keeps what users have added.
func Ensure(ctx context.Context, s Store, c Config) (Result, error) {
	if c.Now.IsZero() {
		c.Now = time.Now()
	}
	list, err := everything(c)
	if err != nil {
		return Result{}, fmt.Errorf("bootstrap: %w", err)
	}
	var counts [3]atomic.Int64
	problems := make([]string, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, w := range list {
		g.Go(func() error {
			did, problem, err := w.ensure(ctx, s)
			if err != nil {
				return fmt.Errorf("bootstrap: %s %s: %w", w.gr, w.obj.GetName(), err)
			}
			counts[did].Add(1)
			problems[i] = problem
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	r := Result{Created: int(counts[created].Load()), Updated: int(counts[updated].Load()), Unchanged: int(counts[unchanged].Load())}
	for _, p := range problems {
		if p != "" {
			r.Problems = append(r.Problems, p)
		}
	}
	return r, nil
}

const (
	unchanged = iota
	created
	updated
)

// ensure brings one object in order; another server may be doing the same.
func (w wanted) ensure(ctx context.Context, s Store) (did int, problem string, err error) {
	for range retries {
		did, problem, err = w.once(ctx, s)
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
			return did, problem, err
		}
	}
	return did, problem, err
}

func (w wanted) once(ctx context.Context, s Store) (int, string, error) {
	have, err := s.Get(ctx, w.gr, w.obj.GetNamespace(), w.obj.GetName())
	if apierrors.IsNotFound(err) {
		return created, "", s.Create(ctx, w.gr, w.obj.DeepCopyObject())
	}
	if err != nil {
		return unchanged, "", err
	}
	changed, problem := w.revise(have)
	if changed == nil {
		return unchanged, problem, nil
	}
	return updated, problem, s.Update(ctx, w.gr, changed)
}
