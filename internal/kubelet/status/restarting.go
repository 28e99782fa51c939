package status

import (
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
)

// What a container shows that was taken away so that all of its pod start over.
const (
	restartingReason  = "RestartingAllContainers"
	restartingMessage = "The container is removed because RestartAllContainers in place"
)

func restarted() *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: 137, Reason: restartingReason, Message: restartingMessage}
}

// restarting is the condition of pods with a rule that restarts all containers.
func (in *Input) restarting(st *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.AllContainersRestarting, Status: corev1.ConditionFalse}
	switch {
	case st.Phase == corev1.PodSucceeded:
		c.Reason = "PodCompleted"
	case st.Phase == corev1.PodFailed:
		c.Reason = "PodFailed"
	case len(decide.Sources(&in.Pod.Spec, in.Seen)) > 0:
		c.Status, c.Reason, c.Message = corev1.ConditionTrue, "RestartAllContainersStarted", "container exited with restart policy rule"
	}
	return c
}
