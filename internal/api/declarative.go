package api

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// betaRulesEnforced: rules tagged beta count, as upstream's DeclarativeValidationBeta gate is on by default.
const betaRulesEnforced = true

// pathSegment is what every object's name must be: fit for a URL path.
func pathSegment(name string, prefix bool) []string {
	if prefix {
		return content.IsPathSegmentPrefix(name)
	}
	return content.IsPathSegmentName(name)
}

// declarative adds to errs, which come from hand-written validation, what the tags on the types of the request's version
// find, and drops what both found.
func declarative(ctx context.Context, q *Request, s *Strategy, in, was Object, errs field.ErrorList) field.ErrorList {
	var d Declarative
	if s.Declarative != nil {
		d = s.Declarative(in, was)
	}
	found := validate.FilterEnforcedDeclarativeErrors(ctx, byTags(ctx, q, d, in, was), betaRulesEnforced)
	errs = validate.FilterCoveredHandwrittenErrors(ctx, errs.MarkFromImperative(), found, betaRulesEnforced, d.Rules...)
	return append(errs, found...)
}

func byTags(ctx context.Context, q *Request, d Declarative, in, was Object) (errs field.ErrorList) {
	defer func() {
		if p := recover(); p != nil {
			errs = append(errs, field.InternalError(nil, fmt.Errorf("panic during declarative validation: %v", p)))
		}
	}()
	obj, err := asRequested(q, in)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if !Scheme().HasValidationFunc(obj) {
		return nil
	}
	var subs []string
	if q.Subresource != "" {
		subs = strings.Split(q.Subresource, "/")
	}
	if was == nil {
		return Scheme().Validate(ctx, d.Options, obj, subs...)
	}
	old, err := asRequested(q, was)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return Scheme().ValidateUpdate(ctx, d.Options, obj, old, subs...)
}

func asRequested(q *Request, in Object) (runtime.Object, error) {
	out, err := Scheme().UnsafeConvertToVersion(in, q.GroupVersion)
	if err != nil {
		return nil, fmt.Errorf("convert %T to %s for validation: %w", in, q.GroupVersion, err)
	}
	return out, nil
}
