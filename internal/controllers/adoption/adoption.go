// Package adoption says whether an owner may still take in orphans.
//
// Whoever adopts asks first. The view of owners may be behind that of their dependents: an owner that was deleted so that its
// dependents stay looks alive, and they look like orphans that it should have. Taken in again, they would belong to nobody
// who is there, and be collected as garbage. All is safe for concurrent use; it is tested by the controllers that adopt.
package adoption

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/client"
)

// Check asks the API server for an owner. The error is a Conflict when the owner is gone, is another by now or is about to
// go: its view will learn that, and until then nothing that it says of the owner's dependents can be trusted.
//
// Who has seen an orphan that was left behind has seen what came after its owner's deletion, so the answer is never too old.
type Check func(ctx context.Context, owner client.Object) error

// Of returns the check for owners of a kind.
func Of[T client.Object](c *client.Client, k client.Kind[T]) Check {
	return func(ctx context.Context, owner client.Object) error {
		live, err := client.Of(c, k).Get(ctx, owner.GetNamespace(), owner.GetName())
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return fmt.Errorf("look for the owner: %w", err)
		case err != nil || live.GetUID() != owner.GetUID() || live.GetDeletionTimestamp() != nil:
			return apierrors.NewConflict(schema.GroupResource{Group: k.GroupVersion.Group, Resource: k.Resource}, owner.GetName(),
				errors.New("it goes or is gone, and adopts nobody"))
		}
		return nil
	}
}
