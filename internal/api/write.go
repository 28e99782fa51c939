package api

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The steps of a write, as the API server runs them:
//
//	create: body -> Decode -> InNamespace -> mutating admission -> Begin -> BeforeCreate -> validating admission -> EncodeStorage
//	update: body -> Decode -> mutating admission -> BeforeUpdate -> validating admission -> EncodeStorage
//	delete: stored -> BeforeDelete -> now, or EncodeStorage of the object with its deletionTimestamp

// Begin gives a new object what the server owns of its metadata: namespace, name from generateName, UID and creation
// time; what clients may not set is cleared. It returns a BadRequest if the body's namespace is not the URL's.
func (r *Resource) Begin(q *Request, obj Object) error {
	if err := r.InNamespace(q, obj); err != nil {
		return err
	}
	obj.SetCreationTimestamp(q.Now)
	obj.SetUID(q.UID)
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetResourceVersion("")
	if obj.GetGenerateName() != "" && obj.GetName() == "" {
		if r.Strategy != nil && r.Strategy.KeepGenerateName {
			obj.SetName(obj.GetGenerateName())
		} else {
			obj.SetName(generateName(obj.GetGenerateName(), q.Random()))
		}
	}
	return nil
}

// maxGeneratedPrefix leaves room for five random characters in a name of 63.
const maxGeneratedPrefix = 58

func generateName(base, suffix string) string {
	if len(base) > maxGeneratedPrefix {
		base = base[:maxGeneratedPrefix]
	}
	return base + suffix
}

// InNamespace makes the object's namespace that of the URL, or refuses another one (BadRequest).
func (r *Resource) InNamespace(q *Request, obj Object) error {
	want := ""
	if r.Namespaced {
		want = q.Namespace
	}
	if have := obj.GetNamespace(); have != want && have != "" && want != "" {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	obj.SetNamespace(want)
	return nil
}

// BeforeCreate runs the kind's rules on a new object that has been through Begin: prepares, validates and canonicalises
// it. The result replaces obj, which must not be used afterwards. Errors are Invalid or BadRequest.
func (r *Resource) BeforeCreate(ctx context.Context, q *Request, obj Object) (Object, []string, error) {
	if err := r.InNamespace(q, obj); err != nil {
		return nil, nil, err
	}
	in, err := internalObject(obj)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	s := r.rules(q)
	if s.PrepareForCreate != nil {
		s.PrepareForCreate(q, in)
	}
	if errs := r.validate(ctx, q, s, in); len(errs) > 0 {
		return nil, nil, apierrors.NewInvalid(r.groupKind(), in.GetName(), errs)
	}
	return r.finish(ctx, s, in, nil)
}

// BeforeUpdate runs the rules of q.Subresource, or of the kind itself, on a changed object. obj and old must share no
// memory with anything else; both are used up. Errors are Invalid, BadRequest or Conflict.
func (r *Resource) BeforeUpdate(ctx context.Context, q *Request, obj, old Object) (Object, []string, error) {
	if err := r.InNamespace(q, obj); err != nil {
		return nil, nil, err
	}
	in, err := internalObject(obj)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	was, err := internalObject(old)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	s := r.rules(q)
	in.SetGeneration(was.GetGeneration())
	if s.PrepareForUpdate != nil {
		s.PrepareForUpdate(q, in, was)
	}
	keepMeta(in, was)
	if errs := r.validateUpdate(ctx, q, s, in, was); len(errs) > 0 {
		return nil, nil, apierrors.NewInvalid(r.groupKind(), in.GetName(), errs)
	}
	return r.finish(ctx, s, in, was)
}

// keepMeta holds what no update may change.
func keepMeta(obj, old Object) {
	if obj.GetUID() == "" {
		obj.SetUID(old.GetUID())
	}
	if t := old.GetCreationTimestamp(); !t.IsZero() {
		obj.SetCreationTimestamp(t)
	}
	if t := old.GetDeletionTimestamp(); !t.IsZero() {
		obj.SetDeletionTimestamp(t)
	}
	if g := old.GetDeletionGracePeriodSeconds(); g != nil && obj.GetDeletionGracePeriodSeconds() == nil {
		obj.SetDeletionGracePeriodSeconds(g)
	}
}

// finish warns, canonicalises and returns to the storage type.
func (r *Resource) finish(ctx context.Context, s *Strategy, in, was Object) (Object, []string, error) {
	var warnings []string
	if s.Warnings != nil {
		warnings = s.Warnings(ctx, in, was)
	}
	if s.Canonicalize != nil {
		s.Canonicalize(in)
	}
	out, err := r.external(in)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	Default(out) // what the rules cleared may have a default, and stored bytes are served as they are
	return out, warnings, nil
}

// rules are the strategy of the request's subresource, or of the kind.
func (r *Resource) rules(q *Request) *Strategy {
	if q.Subresource != "" {
		if sub := r.Sub(q.Subresource); sub != nil && sub.Strategy != nil {
			return sub.Strategy
		}
	}
	if r.Strategy == nil {
		return &Strategy{}
	}
	return r.Strategy
}

func (r *Resource) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: r.Storage.Group, Kind: r.Storage.Kind}
}

func internalObject(obj Object) (Object, error) {
	in, err := Internal(obj)
	if err != nil {
		return nil, err
	}
	o, ok := in.(Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", in)
	}
	return o, nil
}

func (r *Resource) external(in Object) (Object, error) {
	out, err := Scheme().UnsafeConvertToVersion(in, r.Storage.GroupVersion())
	if err != nil {
		return nil, fmt.Errorf("convert %T to %s: %w", in, r.Storage, err)
	}
	return out.(Object), nil
}

var metaPath = field.NewPath("metadata")

func (r *Resource) validate(ctx context.Context, q *Request, s *Strategy, in Object) field.ErrorList {
	var errs field.ErrorList
	if s.Validate != nil {
		errs = s.Validate(ctx, q, in)
	}
	if len(errs) == 0 {
		errs = apivalidation.ValidateObjectMetaAccessor(in, r.Namespaced, pathSegment, metaPath)
	}
	return declarative(ctx, q, s, in, nil, errs)
}

func (r *Resource) validateUpdate(ctx context.Context, q *Request, s *Strategy, in, was Object) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaAccessor(in, r.Namespaced, pathSegment, metaPath)
	errs = append(errs, apivalidation.ValidateObjectMetaAccessorUpdate(in, was, metaPath)...)
	if s.ValidateUpdate != nil {
		errs = append(errs, s.ValidateUpdate(ctx, q, in, was)...)
	}
	return declarative(ctx, q, s, in, was, errs)
}

// BeforeDelete decides how obj, of the storage type and owned by the caller, goes away under options o, which it
// completes. graceful: obj now carries a deletionTimestamp and is to be stored, its owner removes it later. pending: that
// was so before and nothing changes. Neither: delete now. Errors are Invalid or Conflict.
func (r *Resource) BeforeDelete(q *Request, obj Object, o *metav1.DeleteOptions) (graceful, pending bool, err error) {
	if errs := metavalidation.ValidateDeleteOptions(o); len(errs) > 0 {
		return false, false, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	if err := r.preconditions(obj, o.Preconditions); err != nil {
		return false, false, err
	}
	atLeastOne(&o.GracePeriodSeconds)
	if g := obj.GetDeletionGracePeriodSeconds(); g != nil && *g < 0 {
		one := int64(1)
		obj.SetDeletionGracePeriodSeconds(&one)
	}
	if r.Strategy == nil || r.Strategy.Graceful == nil {
		return false, false, nil
	}
	if obj.GetDeletionTimestamp() != nil {
		graceful, pending = shorten(obj, o, q.Now)
		return graceful, pending, nil
	}
	in, err := internalObject(obj)
	if err != nil {
		return false, false, apierrors.NewInternalError(err)
	}
	if !r.Strategy.Graceful(in, o) {
		return false, false, nil
	}
	at := metav1.NewTime(q.Now.Add(time.Duration(*o.GracePeriodSeconds) * time.Second))
	obj.SetDeletionTimestamp(&at)
	obj.SetDeletionGracePeriodSeconds(o.GracePeriodSeconds)
	if g := obj.GetGeneration(); g > 0 {
		obj.SetGeneration(g + 1)
	}
	return true, false, nil
}

// atLeastOne turns a negative period into one second.
func atLeastOne(period **int64) {
	if *period != nil && **period < 0 {
		one := int64(1)
		*period = &one
	}
}

func (r *Resource) preconditions(obj Object, p *metav1.Preconditions) error {
	if p == nil {
		return nil
	}
	gr := schema.GroupResource{Group: r.Storage.Group, Resource: r.Storage.Kind}
	if p.UID != nil && *p.UID != obj.GetUID() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, obj.GetUID()))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != obj.GetResourceVersion() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *p.ResourceVersion, obj.GetResourceVersion()))
	}
	return nil
}

// shorten applies a second delete to an object that is already going away: its period may only become shorter.
func shorten(obj Object, o *metav1.DeleteOptions, now metav1.Time) (graceful, pending bool) {
	was := obj.GetDeletionGracePeriodSeconds()
	if was == nil || *was == 0 {
		return false, false
	}
	if o.GracePeriodSeconds == nil {
		o.GracePeriodSeconds = was
		return false, true
	}
	period := *o.GracePeriodSeconds
	if period >= *was {
		return false, true
	}
	start := obj.GetDeletionTimestamp().Add(-time.Duration(*was) * time.Second)
	at := metav1.NewTime(start.Add(time.Duration(period) * time.Second))
	if at.Before(&now) {
		at = now
		if period != 0 {
			period = 1
		}
	}
	obj.SetDeletionTimestamp(&at)
	obj.SetDeletionGracePeriodSeconds(&period)
	return true, false
}
