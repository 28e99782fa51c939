package apiserver

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
)

var tokenRequestKind = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")

// The shortest and the longest life of a token that may be asked for, in seconds.
const (
	minTokenAge = 10 * 60
	maxTokenAge = 1 << 32
)

// token signs a token for a service account.
func (c *call) token() error {
	o, err := c.createOptions()
	if err != nil {
		return err
	}
	tr, err := decodeInto[*authenticationv1.TokenRequest](c, tokenRequestKind.GroupVersion(), tokenRequestKind.Kind, o.FieldValidation)
	if err != nil {
		return err
	}
	if err := c.completeToken(tr); err != nil {
		return err
	}
	if err := c.ownToken(tr, o.FieldManager); err != nil {
		return err
	}
	a := c.attributes(admission.Create, tr, nil, o, isDryRun(o.DryRun))
	a.Kind = tokenRequestKind
	if err := c.admit(a); err != nil {
		return err
	}
	if err := c.vet(a); err != nil {
		return err
	}
	if c.s.sec.Tokens == nil {
		return apierrors.NewServiceUnavailable("this server has no key to sign service account tokens")
	}
	out, err := c.s.sec.Tokens.Issue(c.ctx(), c.info.Namespace, c.info.Name, tr)
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, out, tokenRequestKind)
}

// ownToken records who asks for the token, as for every object that is sent.
func (c *call) ownToken(tr *authenticationv1.TokenRequest, manager string) error {
	scheme := api.Scheme()
	fm, err := managedfields.NewDefaultFieldManager(fieldTypes(), converter{}, scheme, scheme, tokenRequestKind, tokenRequestKind.GroupVersion(), c.sub.Name, nil)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	live := &authenticationv1.TokenRequest{}
	live.SetGroupVersionKind(tokenRequestKind)
	tr.SetGroupVersionKind(tokenRequestKind)
	tr.ManagedFields = fm.UpdateNoErrors(live, tr, c.manager(manager)).(*authenticationv1.TokenRequest).ManagedFields
	return nil
}

// completeToken checks the request against the account and fills in what it leaves out.
func (c *call) completeToken(tr *authenticationv1.TokenRequest) error {
	gk, path := tokenRequestKind.GroupKind(), field.NewPath("metadata")
	if tr.Name != "" && tr.Name != c.info.Name {
		return apierrors.NewInvalid(gk, c.info.Name, field.ErrorList{field.Invalid(path.Child("name"), tr.Name, "must match the service account name if specified")})
	}
	if tr.Namespace != "" && tr.Namespace != c.info.Namespace {
		return apierrors.NewInvalid(gk, c.info.Name, field.ErrorList{field.Invalid(path.Child("namespace"), tr.Namespace, "must match the service account namespace if specified")})
	}
	if err := c.s.waitFor(c.ctx(), ""); err != nil {
		return err
	}
	obj, err := c.s.objects.Get(c.ctx(), schema.GroupResource{Resource: "serviceaccounts"}, c.info.Namespace, c.info.Name)
	if err != nil {
		return err
	}
	sa := obj.(*corev1.ServiceAccount)
	tr.Name, tr.Namespace, tr.UID = sa.Name, sa.Namespace, sa.UID
	tr.CreationTimestamp = metav1.NewTime(c.s.cfg.Now())
	tr.Status = authenticationv1.TokenRequestStatus{}
	var errs field.ErrorList
	if s := tr.Spec.ExpirationSeconds; s != nil && *s < minTokenAge {
		errs = append(errs, field.Invalid(field.NewPath("spec", "expirationSeconds"), *s, "may not specify a duration less than 10 minutes"))
	} else if s != nil && *s > maxTokenAge {
		errs = append(errs, field.Invalid(field.NewPath("spec", "expirationSeconds"), *s, "may not specify a duration larger than 2^32 seconds"))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(gk, "", errs)
	}
	return nil
}
