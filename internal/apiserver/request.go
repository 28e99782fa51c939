package apiserver

import (
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/api"
)

// request tells strategies of the call.
func (c *call) request() *api.Request {
	q := &api.Request{GroupVersion: c.res.GroupVersion, Namespace: c.info.Namespace, Subresource: c.info.Subresource, Verb: c.info.Verb, User: userInfo(c),
		Now: metav1.NewTime(c.s.cfg.Now().Truncate(time.Second)), UID: newUID(),
		Random:  c.s.cfg.Random,
		Allowed: c.allowed, PolicyParams: c.policyParams}
	q.NamespaceOf = func(name string) (*corev1.Namespace, error) {
		obj, err := c.s.objects.Get(c.ctx(), schema.GroupResource{Resource: "namespaces"}, "", name)
		if err != nil {
			return nil, err
		}
		return obj.(*corev1.Namespace), nil
	}
	return q
}

func userInfo(c *call) authenticationv1.UserInfo {
	u := authenticationv1.UserInfo{Username: c.user.GetName(), UID: c.user.GetUID(), Groups: c.user.GetGroups()}
	for k, v := range c.user.GetExtra() {
		if u.Extra == nil {
			u.Extra = map[string]authenticationv1.ExtraValue{}
		}
		u.Extra[k] = v
	}
	return u
}

// allowed asks whether the user of this call may also do something else; the error says why not.
func (c *call) allowed(a api.Access) error {
	attrs := &authorizer.AttributesRecord{User: c.user, Verb: a.Verb, APIGroup: a.Group, APIVersion: a.Version, Resource: a.Resource,
		Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name, ResourceRequest: true}
	decision, reason, err := c.s.sec.Authorizer.Authorize(c.ctx(), attrs)
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", forbiddenText(attrs), err)
	case reason != "":
		return fmt.Errorf("%s: %s", forbiddenText(attrs), reason)
	}
	return errors.New(forbiddenText(attrs))
}

// policyParams reads spec.paramKind of an admission policy, which the bindings of the policy depend on.
func (c *call) policyParams(resource, policy string) (apiVersion, kind string, ok bool) {
	obj, err := c.s.objects.Get(c.ctx(), schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: resource}, "", policy)
	if err != nil {
		return "", "", false // no such policy yet: the rule then asks for access to everything
	}
	k := paramKindOf(obj)
	if k == nil {
		return "", "", false
	}
	return k.APIVersion, k.Kind, true
}

func paramKindOf(policy runtime.Object) *admissionregistrationv1.ParamKind {
	switch p := policy.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return p.Spec.ParamKind
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		return p.Spec.ParamKind
	}
	return nil
}
