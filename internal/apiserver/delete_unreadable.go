package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/store"
)

// unsafeDelete is the verb that one must be allowed beside delete.
const unsafeDelete = "unsafe-delete-ignore-read-errors"

// ignoresReadErrors says whether an object shall be deleted though, and only if, nobody can read it.
func ignoresReadErrors(o *metav1.DeleteOptions) bool {
	return o.IgnoreStoreReadErrorWithClusterBreakingPotential != nil && *o.IgnoreStoreReadErrorWithClusterBreakingPotential
}

// deleteUnreadable takes what cannot be decoded out of the store, past admission, preconditions and finalizers, of which
// nobody knows anything. What can be read is refused.
func (c *call) deleteUnreadable(o *metav1.DeleteOptions) error {
	if err := c.mayDeleteUnreadable(); err != nil {
		return err
	}
	key := c.key()
	for range maxAttempts {
		kv, found, _, err := c.s.store.Get(c.ctx(), key)
		if err != nil {
			return err
		}
		if !found {
			return apierrors.NewNotFound(c.gr(), c.info.Name)
		}
		if _, err := c.res.DecodeStorage(kv.Value); err == nil {
			return apierrors.NewConflict(c.gr(), c.info.Name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: %s",
				key, "unsafe deletion is not allowed because the object is decodable from storage"))
		}
		var conflict *store.ConflictError
		if !slices.Contains(o.DryRun, metav1.DryRunAll) {
			if _, err = c.s.store.Delete(c.ctx(), key, kv.ModRevision); errors.As(err, &conflict) {
				continue
			}
			if err != nil {
				return err
			}
			c.s.log.Warn("an object that cannot be read was deleted", "key", key, "user", c.user.GetName())
		}
		return c.reply(http.StatusOK, &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusOK,
			Details: &metav1.StatusDetails{Name: c.info.Name, Kind: c.res.Kind}}, statusKind)
	}
	return apierrors.NewConflict(c.gr(), c.info.Name, errors.New(optimisticLock))
}

func (c *call) mayDeleteUnreadable() error {
	a, ok := c.attrs.(*authorizer.AttributesRecord)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("attributes of a request are %T", c.attrs))
	}
	asked := *a
	asked.Verb = unsafeDelete
	decision, reason, err := c.s.sec.Authorizer.Authorize(c.ctx(), &asked)
	switch {
	case err != nil:
		return apierrors.NewForbidden(c.gr(), c.info.Name, fmt.Errorf("error while checking permission for %q, %w", unsafeDelete, err))
	case decision != authorizer.DecisionAllow:
		return apierrors.NewForbidden(c.gr(), c.info.Name, fmt.Errorf("not permitted to do %q, reason: %s", unsafeDelete, reason))
	}
	return nil
}

// oneByOne refuses to delete many objects that cannot be read.
func oneByOne(o *metav1.DeleteOptions) error {
	if !ignoresReadErrors(o) {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", field.ErrorList{
		field.Invalid(field.NewPath("ignoreStoreReadErrorWithClusterBreakingPotential"), true, "is not allowed with DELETECOLLECTION, try again after removing the option")})
}
