package status

import (
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
)

// phase sums up the containers. A pod reaches Succeeded or Failed only when no container runs any more, and never
// leaves them.
func (in *Input) phase(st *corev1.PodStatus) corev1.PodPhase {
	old := in.Pod.Status.Phase
	if old == corev1.PodSucceeded || old == corev1.PodFailed {
		return old
	}
	p := in.count(st)
	if (p == corev1.PodFailed || p == corev1.PodSucceeded) && len(in.Seen.Live()) > 0 {
		return corev1.PodRunning
	}
	if in.Stop != nil && in.Stop.Reason != "" && in.Done {
		return corev1.PodFailed
	}
	if in.Done && in.Stop != nil && (p == corev1.PodPending || p == corev1.PodRunning) {
		return in.final(st)
	}
	return p
}

// final is the phase of a pod that was ended from outside, by its exit codes.
func (in *Input) final(st *corev1.PodStatus) corev1.PodPhase {
	for _, cs := range st.ContainerStatuses {
		if cs.State.Terminated == nil || cs.State.Terminated.ExitCode != 0 {
			return corev1.PodFailed
		}
	}
	return corev1.PodSucceeded
}

func (in *Input) count(st *corev1.PodStatus) corev1.PodPhase {
	pendingInit, failedInit := in.countInit(st)
	var running, stopped, succeeded, waiting int
	for _, cs := range st.ContainerStatuses {
		switch {
		case cs.State.Running != nil:
			running++
		case cs.State.Terminated != nil:
			stopped++
			if cs.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case cs.LastTerminationState.Terminated != nil:
			stopped++
		default:
			waiting++
		}
	}
	policy := in.Pod.Spec.RestartPolicy
	switch {
	case failedInit > 0:
		return corev1.PodFailed
	case pendingInit > 0 && running+stopped == 0:
		return corev1.PodPending
	case waiting > 0:
		return corev1.PodPending
	case running > 0:
		return corev1.PodRunning
	case in.Done && stopped == succeeded:
		return corev1.PodSucceeded
	case in.Done:
		return corev1.PodFailed
	case policy == corev1.RestartPolicyAlways:
		return corev1.PodRunning
	case stopped == succeeded && stopped > 0 && in.settled():
		return corev1.PodSucceeded
	case stopped > 0 && in.settled():
		return corev1.PodFailed
	case stopped > 0:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

// countInit counts the init containers that are not through and those that failed for good.
func (in *Input) countInit(st *corev1.PodStatus) (pending, failed int) {
	for i, cs := range st.InitContainerStatuses {
		c := &in.Pod.Spec.InitContainers[i]
		switch {
		case decide.Restartable(c):
			if cs.Started == nil || !*cs.Started {
				pending++
			}
		case cs.State.Terminated == nil:
			pending++
		case cs.State.Terminated.ExitCode != 0:
			if decide.Restarts(in.Pod, c, true, cs.State.Terminated.ExitCode) {
				pending++
			} else {
				failed++
			}
		}
	}
	return pending, failed
}

// settled says that every regular container ended and none starts again.
func (in *Input) settled() bool {
	for i := range in.Pod.Spec.Containers {
		c := &in.Pod.Spec.Containers[i]
		s := in.Seen.Latest(c.Name)
		if s == nil || s.State != seen.Exited || decide.Restarts(in.Pod, c, false, s.ExitCode) {
			return false
		}
	}
	return true
}
