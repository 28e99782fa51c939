package apiserver

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/api"
)

// update replaces an object, or what a subresource such as status may change of it.
func (c *call) update() error {
	o, err := c.updateOptions()
	if err != nil {
		return err
	}
	sent, err := c.decode(o.FieldValidation)
	if err != nil {
		return err
	}
	if err := c.sameName(sent); err != nil {
		return err
	}
	c.dedupOwners(sent, false)
	uid := sent.GetUID()
	s := c.strategy()
	wo := writeOptions{options: o, dryRun: isDryRun(o.DryRun), mayCreate: c.mayCreate}
	wo.create = s != nil && s.AllowCreateOnUpdate && c.sub == nil && uid == ""
	w, err := c.mutate(wo, func(old api.Object) (api.Object, error) {
		if old != nil && uid != "" && old.GetUID() != uid {
			return nil, apierrors.NewConflict(c.gr(), c.info.Name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, "+
				"AdditionalErrorMsg: Precondition failed: UID in precondition: %v, UID in object meta: %v", c.key(), uid, old.GetUID()))
		}
		return c.own(copyOf(sent), old, o.FieldManager)
	})
	if err != nil {
		return err
	}
	if w.created {
		return c.answerWritten(http.StatusCreated, w)
	}
	return c.answerWritten(http.StatusOK, w)
}

// sameName holds the body to the URL.
func (c *call) sameName(obj metav1.Object) error {
	name, ns := obj.GetName(), obj.GetNamespace()
	if c.res.Namespaced && ns != "" && ns != c.info.Namespace {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if name == "" {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", c.info.Name))
	}
	if name != c.info.Name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", name, c.info.Name))
	}
	if c.res.Namespaced {
		obj.SetNamespace(c.info.Namespace)
	}
	return nil
}

// mayCreate asks whether the user who updates may also create.
func (c *call) mayCreate() error {
	a := &authorizer.AttributesRecord{User: c.user, Verb: "create", APIGroup: c.info.APIGroup, APIVersion: c.info.APIVersion, Resource: c.info.Resource,
		Subresource: c.info.Subresource, Namespace: c.info.Namespace, Name: c.info.Name, ResourceRequest: true, Path: c.info.Path}
	decision, reason, err := c.s.sec.Authorizer.Authorize(c.ctx(), a)
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	return apierrors.NewForbidden(c.gr(), c.info.Name, fmt.Errorf("User %q cannot create resource %q in API group %q: %s", c.user.GetName(), c.info.Resource, c.info.APIGroup, reason))
}
