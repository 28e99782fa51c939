package apiserver

import (
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/pkg/apis/authorization"
	"k8s.io/kubernetes/pkg/apis/authorization/validation"

	"minato.dev/minato/internal/api"
)

// reviewAccess tells what another user may do.
func (c *call) reviewAccess(r runtime.Object, spec *authorizationv1.SubjectAccessReviewSpec, status *authorizationv1.SubjectAccessReviewStatus) error {
	if err := c.validReview(r); err != nil {
		return err
	}
	extra := map[string][]string{}
	for k, v := range spec.Extra {
		extra[k] = v
	}
	u := &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups, Extra: extra}
	*status = c.decide(u, spec.ResourceAttributes, spec.NonResourceAttributes)
	return nil
}

// reviewOwnAccess tells what the user of the call may do.
func (c *call) reviewOwnAccess(r *authorizationv1.SelfSubjectAccessReview) error {
	if err := c.validReview(r); err != nil {
		return err
	}
	r.Status = c.decide(c.user, r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
	return nil
}

// validReview runs upstream's checks on a review.
func (c *call) validReview(r runtime.Object) error {
	in, err := api.Internal(r.DeepCopyObject())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	var errs field.ErrorList
	switch in := in.(type) {
	case *authorization.SubjectAccessReview:
		errs = validation.ValidateSubjectAccessReview(in)
	case *authorization.LocalSubjectAccessReview:
		errs = validation.ValidateLocalSubjectAccessReview(in)
	case *authorization.SelfSubjectAccessReview:
		errs = validation.ValidateSelfSubjectAccessReview(in)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: c.res.GroupVersion.Group}, "", errs) // upstream names no kind
	}
	return nil
}

// decide asks the authoriser.
func (c *call) decide(u user.Info, res *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	var a *authorizer.AttributesRecord
	if res != nil {
		a = resourceAttributes(u, res)
	} else {
		a = &authorizer.AttributesRecord{User: u, Path: path.Path, Verb: path.Verb}
	}
	decision, reason, err := c.s.sec.Authorizer.Authorize(c.ctx(), a)
	st := authorizationv1.SubjectAccessReviewStatus{Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason}
	var problems []error
	for _, p := range []struct {
		what string
		err  error
	}{{"", err}, {"spec.resourceAttributes.fieldSelector partially ignored due to parse error", a.FieldSelectorParsingErr},
		{"spec.resourceAttributes.labelSelector partially ignored due to parse error", a.LabelSelectorParsingErr}} {
		if p.err != nil && p.what != "" {
			p.err = errors.New(p.what)
		}
		if p.err != nil {
			problems = append(problems, p.err)
		}
	}
	if len(problems) > 0 {
		st.EvaluationError = errors.Join(problems...).Error()
	}
	return st
}

func resourceAttributes(u user.Info, in *authorizationv1.ResourceAttributes) *authorizer.AttributesRecord {
	a := &authorizer.AttributesRecord{User: u, Verb: in.Verb, Namespace: in.Namespace, APIGroup: in.Group, APIVersion: in.Version,
		Resource: in.Resource, Subresource: in.Subresource, Name: in.Name, ResourceRequest: true}
	if a.APIVersion == "" {
		a.APIVersion = "*"
	}
	if s := in.FieldSelector; s != nil {
		if s.RawSelector != "" {
			sel, err := fields.ParseSelector(s.RawSelector)
			if a.FieldSelectorParsingErr = err; err == nil {
				a.FieldSelectorRequirements = sel.Requirements()
			}
		} else {
			a.FieldSelectorRequirements, a.FieldSelectorParsingErr = fieldRequirements(s.Requirements)
		}
	}
	if s := in.LabelSelector; s != nil {
		if s.RawSelector != "" {
			sel, err := labels.Parse(s.RawSelector)
			if a.LabelSelectorParsingErr = err; err == nil {
				a.LabelSelectorRequirements, _ = sel.Requirements()
			}
		} else {
			a.LabelSelectorRequirements, a.LabelSelectorParsingErr = labelRequirements(s.Requirements)
		}
	}
	return a
}

// fieldRequirements keeps what is understood: fewer requirements ask for more, which is safe.
func fieldRequirements(in []metav1.FieldSelectorRequirement) (out fields.Requirements, err error) {
	ops := map[metav1.FieldSelectorOperator]selection.Operator{metav1.FieldSelectorOpIn: selection.Equals, metav1.FieldSelectorOpNotIn: selection.NotEquals}
	for _, r := range in {
		op, ok := ops[r.Operator]
		if !ok || len(r.Values) != 1 {
			err = errors.Join(err, fmt.Errorf("field selector requirement on %q is not supported", r.Key))
			continue
		}
		out = append(out, fields.Requirement{Field: r.Key, Operator: op, Value: r.Values[0]})
	}
	return out, err
}

func labelRequirements(in []metav1.LabelSelectorRequirement) (out labels.Requirements, err error) {
	for _, r := range in {
		sel, e := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{r}})
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		reqs, _ := sel.Requirements()
		out = append(out, reqs...)
	}
	return out, err
}
