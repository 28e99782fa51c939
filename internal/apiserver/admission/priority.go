package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var priorityClasses = schedulingv1.Resource("priorityclasses")

// priority turns a pod's priority class into its number, and allows one default class only.
var priority = plugin{
	name: "Priority",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return sub == "" && (op == Create || op == Update) && (gr == pods || gr == priorityClasses)
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		if a.Resource.GroupResource() != pods {
			return nil
		}
		pod, ok := object[*corev1.Pod](a)
		if !ok {
			return apierrors.NewBadRequest(errNoPod.Error())
		}
		if was, ok := old[*corev1.Pod](a); ok && a.Operation == Update {
			if pod.Spec.Priority == nil {
				pod.Spec.Priority = was.Spec.Priority
			}
			if pod.Spec.PreemptionPolicy == nil {
				pod.Spec.PreemptionPolicy = was.Spec.PreemptionPolicy
			}
			return nil
		}
		return resolvePriority(ctx, c, a, pod)
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		class, ok := object[*schedulingv1.PriorityClass](a)
		if !ok || !class.GlobalDefault {
			return nil
		}
		def, err := defaultPriorityClass(ctx, c)
		if err != nil {
			return fmt.Errorf("failed to get default priority class: %w", err)
		}
		if def != nil && (a.Operation == Create || def.Name != class.Name) {
			return a.forbid("PriorityClass %v is already marked as default. Only one default can exist", def.Name)
		}
		return nil
	},
}

func resolvePriority(ctx context.Context, c *Config, a *Attributes, pod *corev1.Pod) error {
	value, policy := int32(0), new(corev1.PreemptLowerPriority)
	if name := pod.Spec.PriorityClassName; name != "" {
		class, err := read[*schedulingv1.PriorityClass](ctx, c.Objects, priorityClasses, "", name)
		if apierrors.IsNotFound(err) {
			return a.forbid("no PriorityClass with name %v was found", name)
		}
		if err != nil {
			return fmt.Errorf("failed to resolve PriorityClass with name %s: %w", name, err)
		}
		value, policy = class.Value, class.PreemptionPolicy
	} else {
		def, err := defaultPriorityClass(ctx, c)
		if err != nil {
			return fmt.Errorf("error occurred while retrieving default priority class: %w", err)
		}
		if def != nil {
			pod.Spec.PriorityClassName, value, policy = def.Name, def.Value, def.PreemptionPolicy
		}
	}
	if p := pod.Spec.Priority; p != nil && *p != value {
		return a.forbid("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *p, value)
	}
	pod.Spec.Priority = &value
	if policy == nil {
		return nil
	}
	if p := pod.Spec.PreemptionPolicy; p != nil && *p != *policy {
		return a.forbid("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *p, *policy)
	}
	own := *policy
	pod.Spec.PreemptionPolicy = &own
	return nil
}

// defaultPriorityClass is the least of those that are marked, should there be several; nil where there is none.
func defaultPriorityClass(ctx context.Context, c *Config) (def *schedulingv1.PriorityClass, err error) {
	classes, err := list[*schedulingv1.PriorityClass](ctx, c.Objects, priorityClasses, "")
	for _, class := range classes {
		if class.GlobalDefault && (def == nil || def.Value > class.Value) {
			def = class
		}
	}
	return def, err
}
