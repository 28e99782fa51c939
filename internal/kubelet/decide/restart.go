package decide

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// Restartable says that an init container is a sidecar: it starts in line with the others and then keeps running.
func Restartable(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// Restarts says whether a container that ended with exit code `code` starts again. The container's own rules come
// first, then its own policy, then the pod's. An init container counts as failed, not done, unless it exited with 0.
func Restarts(pod *corev1.Pod, c *corev1.Container, init bool, code int32) bool {
	switch action(c, code) {
	case corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers:
		return true
	}
	policy := pod.Spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	switch {
	case init && !Restartable(c):
		return code != 0 && policy != corev1.RestartPolicyNever
	case policy == corev1.RestartPolicyNever:
		return false
	case policy == corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// action is that of the first rule which matches, empty where none does.
func action(c *corev1.Container, code int32) corev1.ContainerRestartRuleAction {
	for _, r := range c.RestartPolicyRules {
		if ruleMatches(r, code) {
			return r.Action
		}
	}
	return ""
}

func ruleMatches(r corev1.ContainerRestartRule, code int32) bool {
	if r.ExitCodes == nil {
		return false
	}
	in := slices.Contains(r.ExitCodes.Values, code)
	if r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpNotIn {
		return !in
	}
	return in
}

// ended says that container c will not run again: it ended and its policy leaves it so.
func (in *Input) ended(c *corev1.Container, s *seen.Container) bool {
	return s != nil && s.State == seen.Exited && s.Hash == seen.Hash(c) && !in.Resize.Again[s.ID] && !Restarts(in.Pod, c, false, s.ExitCode)
}

// allEnded says that every regular container ended for good.
func (in *Input) allEnded() bool {
	for i := range in.Pod.Spec.Containers {
		c := &in.Pod.Spec.Containers[i]
		if !in.ended(c, in.Seen.Latest(c.Name)) {
			return false
		}
	}
	return true
}
