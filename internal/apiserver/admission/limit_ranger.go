package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	resourcehelper "k8s.io/component-helpers/resource"
)

const limitRangerAnnotation = "kubernetes.io/limit-ranger"

// limitRanger fills the resources that a namespace's limit ranges have defaults for, and holds pods and claims to their
// bounds.
var limitRanger = plugin{
	name: "LimitRanger",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		switch gr {
		case pods:
			return op == Create && sub == "" || op == Update && sub == "resize"
		case claims:
			return sub == "" && (op == Create || op == Update)
		}
		return false
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, ok := object[*corev1.Pod](a)
		if !ok || goingAway(a) {
			return nil
		}
		ranges, err := limitRanges(ctx, c, a)
		for _, r := range ranges {
			fillDefaults(pod, r)
		}
		return err
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		if goingAway(a) {
			return nil
		}
		ranges, err := limitRanges(ctx, c, a)
		if err != nil {
			return err
		}
		for _, r := range ranges {
			var errs []error
			switch o := a.Object.(type) {
			case *corev1.Pod:
				errs = podWithin(o, r)
			case *corev1.PersistentVolumeClaim:
				errs = claimWithin(o, r)
			}
			if err := utilerrors.NewAggregate(errs); err != nil {
				return a.forbidden(err)
			}
		}
		return nil
	},
}

func limitRanges(ctx context.Context, c *Config, a *Attributes) ([]*corev1.LimitRange, error) {
	ranges, err := list[*corev1.LimitRange](ctx, c.Objects, corev1.Resource("limitranges"), a.Namespace)
	if err != nil {
		return nil, a.forbid("unable to %s %v at this time because there was an error enforcing limit ranges", a.Operation, a.Resource)
	}
	return ranges, nil
}

// fillDefaults adds the defaults of r to each container, and notes in an annotation what it added.
func fillDefaults(pod *corev1.Pod, r *corev1.LimitRange) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, l := range r.Spec.Limits {
		if l.Type == corev1.LimitTypeContainer {
			addMissing(requests, l.DefaultRequest)
			addMissing(limits, l.Default)
		}
	}
	var notes []string
	for _, set := range []struct {
		what string
		cs   []corev1.Container
	}{{"container", pod.Spec.Containers}, {"init container", pod.Spec.InitContainers}} {
		for i := range set.cs {
			c := &set.cs[i]
			if c.Resources.Requests == nil {
				c.Resources.Requests = corev1.ResourceList{}
			}
			if c.Resources.Limits == nil {
				c.Resources.Limits = corev1.ResourceList{}
			}
			newLimits, newRequests := addMissing(c.Resources.Limits, limits), addMissing(c.Resources.Requests, requests)
			if len(newRequests) > 0 {
				notes = append(notes, fmt.Sprintf("%s request for %s %s", strings.Join(newRequests, ", "), set.what, c.Name))
			}
			if len(newLimits) > 0 {
				notes = append(notes, fmt.Sprintf("%s limit for %s %s", strings.Join(newLimits, ", "), set.what, c.Name))
			}
		}
	}
	if len(notes) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitRangerAnnotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
}

// addMissing adds to have what only from has, and returns the names, sorted.
func addMissing(have, from corev1.ResourceList) (names []string) {
	for k, v := range from {
		if _, ok := have[k]; !ok {
			have[k] = v.DeepCopy()
			names = append(names, string(k))
		}
	}
	slices.Sort(names)
	return names
}

func podWithin(pod *corev1.Pod, r *corev1.LimitRange) (errs []error) {
	for _, l := range r.Spec.Limits {
		switch l.Type {
		case corev1.LimitTypeContainer:
			for _, c := range append(slices.Clone(pod.Spec.Containers), pod.Spec.InitContainers...) {
				errs = append(errs, within(l, c.Resources.Requests, c.Resources.Limits)...)
			}
		case corev1.LimitTypePod:
			requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
			limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
			errs = append(errs, within(l, requests, limits)...)
		}
	}
	return errs
}

func claimWithin(claim *corev1.PersistentVolumeClaim, r *corev1.LimitRange) (errs []error) {
	for _, l := range r.Spec.Limits {
		if l.Type != corev1.LimitTypePersistentVolumeClaim {
			continue
		}
		for name, bound := range l.Min {
			errs = append(errs, atLeast(l.Type, name, bound, claim.Spec.Resources.Requests, nil))
		}
		for name, bound := range l.Max {
			errs = append(errs, requestAtMost(l.Type, name, bound, claim.Spec.Resources.Requests))
		}
	}
	return slices.DeleteFunc(errs, func(e error) bool { return e == nil })
}
