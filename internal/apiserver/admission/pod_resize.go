package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	resourcehelper "k8s.io/component-helpers/resource"
)

// Causes that a refused resize names.
const (
	causeNodeCapacity metav1.CauseType = "NodeCapacity"
	causePlatform     metav1.CauseType = "UnsupportedPlatform"
)

// podResize refuses a resize that the pod's node can never grant.
var podResize = plugin{
	name: "PodResizeValidator",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return op == Update && gr == pods && sub == "resize"
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, ok := object[*corev1.Pod](a)
		was, okOld := old[*corev1.Pod](a)
		if !ok || !okOld || pod.Spec.NodeName == "" || pod.Generation == was.Generation {
			return nil
		}
		node, err := read[*corev1.Node](ctx, c.Objects, nodes, "", pod.Spec.NodeName)
		if apierrors.IsNotFound(err) {
			return a.forbid("node %q not found", pod.Spec.NodeName)
		}
		if err != nil {
			return a.forbid("failed to get node %q: %w", pod.Spec.NodeName, err)
		}
		if os := node.Labels[corev1.LabelOSStable]; os != "" && os != string(corev1.Linux) {
			return because(a.forbid("pod resize is only supported on linux nodes, node %q is %q", node.Name, os), causePlatform)
		}
		if short := aboveAllocatable(pod, node.Status.Allocatable); short != "" {
			return because(a.forbid("node didn't have enough allocatable resources: %s", short), causeNodeCapacity)
		}
		if missing := undeclared(pod, was, node); missing != "" {
			return a.forbid("pod update requires features %s which are not available on node %q", missing, node.Name)
		}
		return nil
	},
}

func because(err *apierrors.StatusError, cause metav1.CauseType) error {
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: cause})
	return err
}

// aboveAllocatable says what of CPU and memory the pod asks for that the whole node does not have.
func aboveAllocatable(pod *corev1.Pod, offer corev1.ResourceList) string {
	want := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	var short []string
	if cpu := want.Cpu(); cpu.Cmp(*offer.Cpu()) > 0 {
		short = append(short, fmt.Sprintf("cpu, requested: %d, allocatable: %d", cpu.MilliValue(), offer.Cpu().MilliValue()))
	}
	if memory := want.Memory(); memory.Cmp(*offer.Memory()) > 0 {
		short = append(short, fmt.Sprintf("memory, requested: %d, allocatable: %d", memory.Value(), offer.Memory().Value()))
	}
	return strings.Join(short, "; ")
}

// undeclared lists what a resize needs of its node's kubelet that the node does not say to have.
func undeclared(pod, was *corev1.Pod, node *corev1.Node) string {
	var missing []string
	need := func(name string, yes bool) {
		if yes && !slices.Contains(node.Status.DeclaredFeatures, name) {
			missing = append(missing, name)
		}
	}
	need("InPlacePodLevelResourcesVerticalScaling", !same(pod.Spec.Resources, was.Spec.Resources))
	inits := false
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		inits = inits || !sidecar && i < len(was.Spec.InitContainers) && !same(&c.Resources, &was.Spec.InitContainers[i].Resources)
	}
	need("InPlacePodVerticalScalingInitContainers", inits)
	return strings.Join(missing, ", ")
}

// same compares two requirements, of which either may be nil.
func same(a, b *corev1.ResourceRequirements) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameList(a.Requests, b.Requests) && sameList(a.Limits, b.Limits)
}

func sameList(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, q := range a {
		if other, ok := b[name]; !ok || !q.Equal(other) {
			return false
		}
	}
	return true
}
