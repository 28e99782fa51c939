package job

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// verdict is what podFailurePolicy says of one failed pod. The zero verdict, no rule matches, counts as a failure.
type verdict struct {
	action  batchv1.PodFailurePolicyAction
	message string // for FailJob
}

// judge finds the first rule that matches a failed pod.
func judge(policy *batchv1.PodFailurePolicy, p *corev1.Pod) verdict {
	if policy == nil {
		return verdict{}
	}
	for i, rule := range policy.Rules {
		if codes := rule.OnExitCodes; codes != nil {
			if c := matchExit(codes, p); c != nil {
				return verdict{rule.Action, fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d matching %s rule at index %d",
					c.Name, p.Namespace, p.Name, c.State.Terminated.ExitCode, rule.Action, i)}
			}
			continue
		}
		for _, c := range p.Status.Conditions {
			if slices.ContainsFunc(rule.OnPodConditions, func(want batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
				return want.Type == c.Type && (want.Status == c.Status || want.Status == "" && c.Status == corev1.ConditionTrue)
			}) {
				return verdict{rule.Action, fmt.Sprintf("Pod %s/%s has condition %s matching %s rule at index %d", p.Namespace, p.Name, c.Type, rule.Action, i)}
			}
		}
	}
	return verdict{}
}

func matchExit(want *batchv1.PodFailurePolicyOnExitCodesRequirement, p *corev1.Pod) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			t := list[i].State.Terminated
			if t == nil || t.ExitCode == 0 || want.ContainerName != nil && *want.ContainerName != list[i].Name {
				continue
			}
			if slices.Contains(want.Values, t.ExitCode) == (want.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
				return &list[i]
			}
		}
	}
	return nil
}

// satisfied finds the first rule of a success policy that the succeeded indexes meet.
func satisfied(policy *batchv1.SuccessPolicy, done indexes, n int) (message string, ok bool) {
	if policy == nil {
		return "", false
	}
	for i, rule := range policy.Rules {
		among := done
		need := int32(0)
		if rule.SucceededIndexes != nil {
			want := parseIndexes(strings.TrimSpace(*rule.SucceededIndexes), n)
			among = slices.DeleteFunc(slices.Clone(done), func(i int) bool { return !want.has(i) })
			need = int32(len(want))
		}
		if rule.SucceededCount != nil {
			need = *rule.SucceededCount
		}
		if int32(len(among)) >= need {
			return fmt.Sprintf("Matched rules at index %d", i), true
		}
	}
	return "", false
}
