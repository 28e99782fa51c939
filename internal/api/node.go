package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func node() kind {
	return kind{
		name: "Node", plural: "nodes",
		short:   []string{"no"},
		cluster: true,
		prefix:  "minions",
		subs: []sub{
			{name: "proxy", kind: "NodeProxyOptions", verbs: proxyVerbs},
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(updateNodeStatus),
				ValidateUpdate:   validUpdate(validation.ValidateNodeUpdate),
				Warnings:         warn(nodeWarnings),
				Declarative:      options("InPlacePodVerticalScalingSchedulerPreemption"),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(n *core.Node) {
				noEmptyAllocatable(n)
				n.Spec.ConfigSource, n.Status.Config = nil, nil
				dropNodeFields(n, &core.Node{})
			}),
			PrepareForUpdate: prepareUpdate(func(n, old *core.Node) {
				n.Status = old.Status
				if old.Spec.ConfigSource == nil {
					n.Spec.ConfigSource = nil
				}
				dropNodeFields(n, old)
			}),
			Validate:       valid(validation.ValidateNode),
			ValidateUpdate: validBoth(validation.ValidateNode, validation.ValidateNodeUpdate),
			Warnings:       warn(nodeWarnings),
			Declarative:    options("InPlacePodVerticalScalingSchedulerPreemption"),
			ResetFields:    statusField,
		},
		fields: selectable(func(n *corev1.Node) map[string]string {
			return map[string]string{"spec.unschedulable": fmt.Sprint(n.Spec.Unschedulable)}
		}),
		wire:    &wireMap{leaves: []wireLeaf{boolean("spec.unschedulable", 2, 4)}},
		columns: table("Name", "Status", "Roles", "Age", "Version", "Internal-IP+", "External-IP+", "OS-Image+", "Kernel-Version+", "Container-Runtime+"),
		row:     typed(nodeRow),
	}
}

// dropNodeFields clears fields whose feature is off, unless they are in use.
func dropNodeFields(n, old *core.Node) {
	if !gate("RecursiveReadOnlyMounts") && !gate("UserNamespacesSupport") {
		n.Status.RuntimeHandlers = nil
	}
	if !gate("SupplementalGroupsPolicy") && old.Status.Features == nil {
		n.Status.Features = nil
	}
	if !gate("NodeDeclaredFeatures") && old.Status.DeclaredFeatures == nil {
		n.Status.DeclaredFeatures = nil
	}
	if !gate("InPlacePodVerticalScalingSchedulerPreemption") && old.Spec.PodPreemptionPolicy == nil {
		n.Spec.PodPreemptionPolicy = nil
	}
}

// noEmptyAllocatable: an empty list is stored as none, and none has a default.
func noEmptyAllocatable(n *core.Node) {
	if len(n.Status.Allocatable) == 0 {
		n.Status.Allocatable = nil
	}
}

func updateNodeStatus(n, old *core.Node) {
	noEmptyAllocatable(n)
	n.Spec = old.Spec
	if old.Status.Config == nil {
		n.Status.Config = nil
	}
	if !gate("KubeletInUserNamespace") && old.Status.NodeInfo.RunningInUserNamespace == nil {
		n.Status.NodeInfo.RunningInUserNamespace = nil
	}
}

func nodeWarnings(_ context.Context, n, _ *core.Node) []string {
	var w []string
	if n.Spec.ConfigSource != nil {
		w = append(w, "spec.configSource: the feature is removed")
	}
	if n.Spec.DoNotUseExternalID != "" {
		w = append(w, "spec.externalID: this field is deprecated, and is unused by Kubernetes")
	}
	for i, cidr := range n.Spec.PodCIDRs {
		w = append(w, utilvalidation.GetWarningsForCIDR(field.NewPath("spec", "podCIDRs").Index(i), cidr)...)
	}
	return w
}

func nodeRow(n *corev1.Node, now time.Time) []any {
	i := n.Status.NodeInfo
	kernel := or(i.KernelVersion, "<unknown>")
	if i.Architecture != "" {
		kernel += " (" + i.Architecture + ")"
	}
	return []any{
		n.Name, nodeStatus(n), orNone(strings.Join(nodeRoles(n), ",")), age(n.CreationTimestamp, now), i.KubeletVersion,
		nodeAddress(n, corev1.NodeInternalIP), nodeAddress(n, corev1.NodeExternalIP),
		or(i.OSImage, "<unknown>"), kernel, or(i.ContainerRuntimeVersion, "<unknown>"),
	}
}

func nodeStatus(n *corev1.Node) string {
	s := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		s = "Ready"
		if c.Status != corev1.ConditionTrue {
			s = "NotReady"
		}
	}
	if n.Spec.Unschedulable {
		s += ",SchedulingDisabled"
	}
	return s
}

const (
	rolePrefix = "node-role.kubernetes.io/"
	roleLabel  = "kubernetes.io/role"
)

func nodeRoles(n *corev1.Node) []string {
	var roles []string
	for k, v := range n.Labels {
		role, ok := strings.CutPrefix(k, rolePrefix)
		if !ok && k == roleLabel {
			role, ok = v, true
		}
		if ok && role != "" {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

func nodeAddress(n *corev1.Node, t corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return "<none>"
}
