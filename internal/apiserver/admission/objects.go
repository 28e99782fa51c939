package admission

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Objects reads the live state. Both methods return shared objects in their stored version, not to be changed; Get's error
// satisfies apierrors.IsNotFound where there is none. Namespace "" lists all.
type Objects interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
	List(ctx context.Context, gr schema.GroupResource, namespace string) ([]runtime.Object, error)
}

// read returns one object as T.
func read[T runtime.Object](ctx context.Context, o Objects, gr schema.GroupResource, namespace, name string) (T, error) {
	var none T
	obj, err := o.Get(ctx, gr, namespace, name)
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, apierrors.NewInternalError(fmt.Errorf("%s %s/%s is stored as %T, not as %T", gr, namespace, name, obj, none))
	}
	return t, nil
}

// list returns the objects of namespace as T.
func list[T runtime.Object](ctx context.Context, o Objects, gr schema.GroupResource, namespace string) ([]T, error) {
	objs, err := o.List(ctx, gr, namespace)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(objs))
	for _, obj := range objs {
		t, ok := obj.(T)
		if !ok {
			var none T
			return nil, apierrors.NewInternalError(fmt.Errorf("%s is stored as %T, not as %T", gr, obj, none))
		}
		out = append(out, t)
	}
	return out, nil
}

// await is read for an object that another part is about to make: it tries again, with growing pauses, until within
// has passed.
func await[T runtime.Object](ctx context.Context, o Objects, gr schema.GroupResource, namespace, name string, within time.Duration) (T, error) {
	if t, err := read[T](ctx, o, gr, namespace, name); !apierrors.IsNotFound(err) {
		return t, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		t, err := read[T](ctx, o, gr, namespace, name)
		if !apierrors.IsNotFound(err) {
			return t, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return t, err
		}
	}
}
