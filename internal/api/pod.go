package api

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/helper/qos"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func pod() kind {
	return kind{
		name: "Pod", plural: "pods",
		short:    []string{"po"},
		category: "all",
		subs: []sub{
			{name: "attach", kind: "PodAttachOptions", verbs: []string{"create", "get"}},
			{name: "binding", kind: "Binding", verbs: createOnly},
			{name: "ephemeralcontainers", verbs: statusVerbs, strategy: podEphemeral()},
			{name: "eviction", kind: "Eviction", gv: schema.GroupVersion{Group: "policy", Version: "v1"}, verbs: createOnly},
			{name: "exec", kind: "PodExecOptions", verbs: []string{"create", "get"}},
			{name: "log", verbs: []string{"get"}},
			{name: "portforward", kind: "PodPortForwardOptions", verbs: []string{"create", "get"}},
			{name: "proxy", kind: "PodProxyOptions", verbs: proxyVerbs},
			{name: "resize", verbs: statusVerbs, strategy: podResize()},
			status(podStatus()),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(newPod),
			PrepareForUpdate: prepareUpdate(func(p, old *core.Pod) {
				p.Status = old.Status
				keepPodResources(p, old)
				podutil.DropDisabledPodFields(p, old)
				bump(p, old, p.Spec, old.Spec)
			}),
			Validate: valid(func(p *core.Pod) field.ErrorList {
				return validation.ValidatePodCreate(p, podOptions(p, nil))
			}),
			ValidateUpdate: podChange(validation.ValidatePodUpdate),
			Warnings:       warn(podWarnings),
			Graceful:       podGraceful,
			ResetFields:    statusField,
		},
		returnsDeleted: true,
		fields:         selectable(podFields),
		wire: &wireMap{leaves: []wireLeaf{
			text("spec.nodeName", 2, 10), text("spec.restartPolicy", 2, 3), text("spec.schedulerName", 2, 19),
			text("spec.serviceAccountName", 2, 8), boolean("spec.hostNetwork", 2, 11),
			text("status.phase", 3, 1), firstText("status.podIP", 3, 12, 1), text("status.nominatedNodeName", 3, 11),
		}},
		columns: podColumns(),
		row:     typed(podRow), rowParts: podRowParts,
	}
}

func newPod(p *core.Pod) {
	p.Generation = 1
	p.Status = core.PodStatus{Phase: core.PodPending}
	podutil.DropDisabledPodFields(p, nil)
	markGated(p)
	spreadByLabelKeys(p)
	appArmorFromAnnotations(p)
	podutil.DefaultPodLevelResources(p)
	p.Status.QOSClass = qos.GetPodQOS(p)
}

// markGated tells why a pod with scheduling gates is not scheduled.
func markGated(p *core.Pod) {
	if len(p.Spec.SchedulingGates) == 0 {
		return
	}
	podutil.UpdatePodCondition(&p.Status, &core.PodCondition{
		Type: core.PodScheduled, Status: core.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
		Message: "Scheduling is blocked due to non-empty scheduling gates",
	})
}

// keepPodResources: an update by a client that does not know pod-level resources does not remove them.
func keepPodResources(p, old *core.Pod) {
	if gate("PodLevelResourcesFixDefaulting") && p.Spec.Resources == nil && old.Spec.Resources != nil {
		p.Spec.Resources = old.Spec.Resources.DeepCopy()
	}
}

// podOptions relaxes validation of what the old pod, nil on create, already has.
func podOptions(p, old *core.Pod) validation.PodValidationOptions {
	var oldSpec *core.PodSpec
	var oldMeta *metav1.ObjectMeta
	if old != nil {
		oldSpec, oldMeta = &old.Spec, &old.ObjectMeta
	}
	o := podutil.GetValidationOptionsFromPodSpecAndMeta(&p.Spec, oldSpec, &p.ObjectMeta, oldMeta)
	o.ResourceIsPod = true
	return o
}

func podChange(f func(p, old *core.Pod, o validation.PodValidationOptions) field.ErrorList) func(context.Context, *Request, Object, Object) field.ErrorList {
	return validUpdate(func(p, old *core.Pod) field.ErrorList { return f(p, old, podOptions(p, old)) })
}

func podWarnings(ctx context.Context, p, old *core.Pod) []string {
	if old != nil {
		return nil
	}
	w := hostnameWarning(p.Name, "the Pod's hostname")
	w = append(w, appArmorWarnings(p)...)
	return append(w, podutil.GetWarningsForPod(ctx, p, nil)...)
}

// podGraceful: a pod that runs somewhere gets its grace period, and its kubelet removes it; any other goes at once.
func podGraceful(obj Object, o *metav1.DeleteOptions) bool {
	p := obj.(*core.Pod)
	period := int64(0)
	switch {
	case o.GracePeriodSeconds != nil:
		period = *o.GracePeriodSeconds
	case p.Spec.TerminationGracePeriodSeconds != nil:
		period = *p.Spec.TerminationGracePeriodSeconds
	}
	done := p.Status.Phase == core.PodFailed || p.Status.Phase == core.PodSucceeded
	if p.Spec.NodeName == "" || done {
		period = 0
	}
	if period < 0 {
		period = 1
	}
	o.GracePeriodSeconds = &period
	return true
}

func podFields(p *corev1.Pod) map[string]string {
	ip := ""
	if len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	return map[string]string{
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             ip,
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
}
