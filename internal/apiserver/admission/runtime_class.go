package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// runtimeClass adds to a pod what its runtime class costs and where it can run.
var runtimeClass = plugin{
	name:    "RuntimeClass",
	handles: on(pods, Create),
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, class, err := classOfPod(ctx, c, a)
		if err != nil || class == nil {
			return err
		}
		if class.Overhead != nil {
			if len(pod.Spec.Overhead) > 0 && !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead) {
				return a.forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
			}
			pod.Spec.Overhead = class.Overhead.PodFixed.DeepCopy()
		}
		return placeAs(a, pod, class.Scheduling)
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, class, err := classOfPod(ctx, c, a)
		switch {
		case err != nil:
			return err
		case class != nil && class.Overhead != nil:
			if !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead) {
				return a.forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
			}
		case len(pod.Spec.Overhead) > 0:
			return a.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
		}
		return nil
	},
}

func classOfPod(ctx context.Context, c *Config, a *Attributes) (*corev1.Pod, *nodev1.RuntimeClass, error) {
	pod, ok := object[*corev1.Pod](a)
	if !ok {
		return nil, nil, apierrors.NewBadRequest(errNoPod.Error())
	}
	if pod.Spec.RuntimeClassName == nil {
		return pod, nil, nil
	}
	class, err := read[*nodev1.RuntimeClass](ctx, c.Objects, nodev1.Resource("runtimeclasses"), "", *pod.Spec.RuntimeClassName)
	if apierrors.IsNotFound(err) {
		return pod, nil, a.forbid("pod rejected: RuntimeClass %q not found", *pod.Spec.RuntimeClassName)
	}
	return pod, class, err
}

// placeAs merges the class's node selector and tolerations into the pod's.
func placeAs(a *Attributes, pod *corev1.Pod, s *nodev1.Scheduling) error {
	if s == nil {
		return nil
	}
	for k, v := range s.NodeSelector {
		if have, ok := pod.Spec.NodeSelector[k]; ok && have != v {
			return a.forbid("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", k, v, k, have)
		}
		if pod.Spec.NodeSelector == nil {
			pod.Spec.NodeSelector = map[string]string{}
		}
		pod.Spec.NodeSelector[k] = v
	}
	for _, t := range s.Tolerations {
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(h corev1.Toleration) bool { return equality.Semantic.DeepEqual(h, t) }) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, t)
		}
	}
	return nil
}
