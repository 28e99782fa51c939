// Package protection lets go of storage objects that are to be deleted once nobody uses them: claims, volumes, and classes of
// volume attributes. Admission puts a finalizer on each; here is who takes it off.
package protection

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"minato.dev/minato/internal/client"
)

// guarded says whether an object only waits for this finalizer's owner.
func guarded(o client.Object, finalizer string) bool {
	return o.GetDeletionTimestamp() != nil && slices.Contains(o.GetFinalizers(), finalizer)
}

// letGo takes the finalizer off a copy of the object, in the state that was judged: a newer one is judged again.
func letGo[T client.Object](ctx context.Context, r client.Resource[T], copied T, finalizer string) error {
	copied.SetFinalizers(slices.DeleteFunc(slices.Clone(copied.GetFinalizers()), func(f string) bool { return f == finalizer }))
	_, err := r.Update(ctx, copied)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
