package apiserver

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"minato.dev/minato/internal/api"
)

// review answers a question about who somebody is or what they may do. Reviews are created and never stored.
func (c *call) review() error {
	if c.res.Kind == "Binding" {
		return c.bind()
	}
	o, err := c.createOptions()
	if err != nil {
		return err
	}
	obj, err := decodeInto[runtime.Object](c, c.res.GroupVersion, c.res.Kind, o.FieldValidation)
	if err != nil {
		return err
	}
	if obj, err = c.ownReview(obj, o.FieldManager); err != nil {
		return err
	}
	if err := c.answerReview(obj); err != nil {
		return err
	}
	return c.reply(http.StatusCreated, obj, c.res.GVK())
}

// ownReview records who asks, as for every object that is sent, though nobody will read it later.
func (c *call) ownReview(obj runtime.Object, manager string) (runtime.Object, error) {
	fm, err := c.s.owners.of(c.res, nil, false)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	live, err := api.Scheme().New(c.res.GVK())
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	live.GetObjectKind().SetGroupVersionKind(c.res.GVK())
	obj.GetObjectKind().SetGroupVersionKind(c.res.GVK())
	return fm.UpdateNoErrors(live, obj, c.manager(manager)), nil
}

func (c *call) answerReview(obj runtime.Object) error {
	switch r := obj.(type) {
	case *authenticationv1.TokenReview:
		return c.reviewToken(r)
	case *authenticationv1.SelfSubjectReview:
		r.ObjectMeta = metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(c.s.cfg.Now())}
		r.Status.UserInfo = asUserInfo(c.user)
		return nil
	case *authorizationv1.SubjectAccessReview:
		return c.reviewAccess(r, &r.Spec, &r.Status)
	case *authorizationv1.LocalSubjectAccessReview:
		if r.Namespace == "" {
			r.Namespace = c.info.Namespace
		}
		if r.Namespace != c.info.Namespace {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		return c.reviewAccess(r, &r.Spec, &r.Status)
	case *authorizationv1.SelfSubjectAccessReview:
		return c.reviewOwnAccess(r)
	case *authorizationv1.SelfSubjectRulesReview:
		return c.reviewRules(r)
	}
	return apierrors.NewMethodNotSupported(c.gr(), "create")
}

// reviewToken tells whose a token is.
func (c *call) reviewToken(r *authenticationv1.TokenReview) error {
	if r.Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	ctx := c.ctx()
	if len(r.Spec.Audiences) > 0 {
		ctx = authenticator.WithAudiences(ctx, r.Spec.Audiences)
	}
	fake := (&http.Request{Method: http.MethodGet, URL: c.r.URL, Header: http.Header{"Authorization": {"Bearer " + r.Spec.Token}}}).WithContext(ctx)
	resp, ok, err := c.s.sec.Authenticator.AuthenticateRequest(fake)
	r.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
	if err != nil {
		r.Status.Error = err.Error()
	}
	if ok && resp != nil && resp.User != nil {
		r.Status.User = asUserInfo(resp.User)
		r.Status.Audiences = resp.Audiences
	}
	return nil
}

func asUserInfo(u user.Info) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for k, v := range u.GetExtra() {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[k] = v
	}
	return out
}

// reviewRules lists what the user may do in a namespace.
func (c *call) reviewRules(r *authorizationv1.SelfSubjectRulesReview) error {
	if r.Spec.Namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	if c.s.sec.Rules == nil {
		return apierrors.NewServiceUnavailable("this server's authorizer cannot list rules")
	}
	resources, paths, incomplete, err := c.s.sec.Rules.RulesFor(c.ctx(), c.user, r.Spec.Namespace)
	r.Status = authorizationv1.SubjectRulesReviewStatus{Incomplete: incomplete, ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}}
	for _, rule := range resources {
		r.Status.ResourceRules = append(r.Status.ResourceRules, authorizationv1.ResourceRule{Verbs: rule.GetVerbs(), APIGroups: rule.GetAPIGroups(),
			Resources: rule.GetResources(), ResourceNames: rule.GetResourceNames()})
	}
	for _, rule := range paths {
		r.Status.NonResourceRules = append(r.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: rule.GetVerbs(), NonResourceURLs: rule.GetNonResourceURLs()})
	}
	if err != nil {
		r.Status.EvaluationError = err.Error()
	}
	r.ObjectMeta, r.Spec = metav1.ObjectMeta{}, authorizationv1.SelfSubjectRulesReviewSpec{} // the answer is the status alone
	return nil
}
