package status

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/decide"
)

// conditions sets the five conditions that a kubelet owns, after all others, which it leaves alone.
func (in *Input) conditions(st *corev1.PodStatus) {
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}
	if i := find(st.Conditions, corev1.PodScheduled); i >= 0 && st.Conditions[i].Status == corev1.ConditionTrue {
		scheduled.Reason, scheduled.Message = st.Conditions[i].Reason, st.Conditions[i].Message
	}
	containersReady := in.containersReady(st)
	own := []corev1.PodCondition{in.readyToStart(st), in.initialized(st), in.ready(st, containersReady), containersReady, scheduled}
	for _, c := range own {
		in.set(st, c)
	}
	place := func(c corev1.PodCondition) int {
		return slices.IndexFunc(own, func(o corev1.PodCondition) bool { return o.Type == c.Type })
	}
	sort.SliceStable(st.Conditions, func(i, j int) bool { return place(st.Conditions[i]) < place(st.Conditions[j]) })
	if decide.MayRestartAll(&in.Pod.Spec) {
		in.set(st, in.restarting(st))
	}
}

// disruption tells controllers that the node has ended the pod, and that the pod is not to blame.
func (in *Input) disruption(st *corev1.PodStatus) {
	if in.Stop == nil || in.Stop.Reason != "Evicted" && in.Stop.Reason != "Preempting" {
		return
	}
	c := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonTerminationByKubelet, Message: in.Stop.Message}
	if in.Stop.Reason == "Preempting" {
		c.Message = "Pod was preempted by Kubelet to accommodate a critical pod."
	}
	in.set(st, c)
}

func find(list []corev1.PodCondition, t corev1.PodConditionType) int {
	return slices.IndexFunc(list, func(c corev1.PodCondition) bool { return c.Type == t })
}

// set writes one condition; its transition time moves only with its status.
func (in *Input) set(st *corev1.PodStatus, c corev1.PodCondition) {
	c.ObservedGeneration = in.Pod.Generation
	c.LastTransitionTime = metav1.NewTime(in.Now).Rfc3339Copy()
	i := find(st.Conditions, c.Type)
	if i < 0 {
		st.Conditions = append(st.Conditions, c)
		return
	}
	if st.Conditions[i].Status == c.Status {
		c.LastTransitionTime = st.Conditions[i].LastTransitionTime
	}
	c.LastProbeTime = st.Conditions[i].LastProbeTime
	st.Conditions[i] = c
}

func (in *Input) readyToStart(st *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse, Reason: "PodSandboxNotReady"}
	switch box := in.Seen.ReadySandbox(); {
	case len(in.Seen.Sandboxes) == 0:
		c.Message = "no pod sandbox exists"
	case box == nil, in.terminal(st):
		c.Message = "pod sandbox is not ready"
	case len(box.IPs) == 0 && !in.Pod.Spec.HostNetwork:
		c.Message = "pod sandbox has no IP address"
	default:
		c.Status, c.Reason = corev1.ConditionTrue, ""
	}
	return c
}

func (in *Input) terminal(st *corev1.PodStatus) bool {
	return st.Phase == corev1.PodSucceeded || st.Phase == corev1.PodFailed
}

func (in *Input) initialized(st *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	if i := find(st.Conditions, corev1.PodInitialized); in.regularRan(st) || i >= 0 && st.Conditions[i].Status == corev1.ConditionTrue && decide.MayRestartAll(&in.Pod.Spec) && st.Phase != corev1.PodSucceeded {
		return c // once initialised, always so
	}
	var missing []string
	for i, cs := range st.InitContainerStatuses {
		done := cs.State.Terminated != nil && cs.State.Terminated.ExitCode == 0
		if decide.Restartable(&in.Pod.Spec.InitContainers[i]) {
			done = cs.Started != nil && *cs.Started
		}
		if !done {
			missing = append(missing, cs.Name)
		}
	}
	if len(missing) == 0 {
		if st.Phase == corev1.PodSucceeded {
			c.Reason = "PodCompleted"
		}
		return c
	}
	c.Status, c.Reason = corev1.ConditionFalse, "ContainersNotInitialized"
	c.Message = fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(missing, " "))
	return c
}

// regularRan says that a regular container was started once, so that the init containers are behind us.
func (in *Input) regularRan(st *corev1.PodStatus) bool {
	if st.Phase == corev1.PodSucceeded {
		return false // the reason is PodCompleted then
	}
	for _, cs := range st.ContainerStatuses {
		if cs.State.Running != nil || cs.State.Terminated != nil && cs.ContainerID != "" || cs.LastTerminationState.Terminated != nil {
			return true
		}
	}
	return false
}

func (in *Input) containersReady(st *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}
	switch st.Phase {
	case corev1.PodSucceeded:
		c.Status, c.Reason = corev1.ConditionFalse, "PodCompleted"
		return c
	case corev1.PodFailed:
		c.Status, c.Reason = corev1.ConditionFalse, "PodFailed"
		return c
	}
	var missing []string
	for i, cs := range st.InitContainerStatuses {
		if decide.Restartable(&in.Pod.Spec.InitContainers[i]) && !cs.Ready {
			missing = append(missing, cs.Name)
		}
	}
	for _, cs := range st.ContainerStatuses {
		if !cs.Ready {
			missing = append(missing, cs.Name)
		}
	}
	if len(missing) > 0 {
		c.Status, c.Reason = corev1.ConditionFalse, "ContainersNotReady"
		c.Message = fmt.Sprintf("containers with unready status: [%s]", strings.Join(missing, " "))
	}
	return c
}

// ready is ContainersReady and every readiness gate.
func (in *Input) ready(st *corev1.PodStatus, containers corev1.PodCondition) corev1.PodCondition {
	c := containers
	c.Type = corev1.PodReady
	if c.Status != corev1.ConditionTrue {
		return c
	}
	var words []string
	for _, g := range in.Pod.Spec.ReadinessGates {
		i := find(st.Conditions, g.ConditionType)
		switch {
		case i < 0:
			words = append(words, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", g.ConditionType))
		case st.Conditions[i].Status != corev1.ConditionTrue:
			words = append(words, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", g.ConditionType, st.Conditions[i].Status))
		}
	}
	if len(words) > 0 {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "ReadinessGatesNotReady", strings.Join(words, ", ")
	}
	return c
}
