package kubelet_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRestartAllContainers(t *testing.T) {
	b := start(t)
	always, never := corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	b.create(pod("p", policy(corev1.RestartPolicyNever), func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{
			{Name: "init", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"exit", "0"}},
			{Name: "side", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: &always},
		}
		p.Spec.Containers[0].RestartPolicy = &never
		p.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestartAllContainers,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "other", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent})
	}))
	first := b.until("p", "Ready", isReady)
	if c := condition(first, corev1.AllContainersRestarting); c == nil || c.Status != corev1.ConditionFalse {
		t.Errorf("condition is %+v", c)
	}
	b.rt.Exit("main", 42, "")
	p := b.until("p", "all containers anew", func(p *corev1.Pod) bool {
		for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
			for _, c := range list {
				if c.RestartCount != 1 || c.LastTerminationState.Terminated == nil {
					return false
				}
			}
		}
		return isReady(p) && condition(p, corev1.AllContainersRestarting).Status == corev1.ConditionFalse
	})
	if p.Status.PodIP != first.Status.PodIP {
		t.Errorf("the sandbox went too: %s, before %s", p.Status.PodIP, first.Status.PodIP)
	}
	if last := p.Status.ContainerStatuses[1].LastTerminationState.Terminated; last.ExitCode != 137 || last.Reason != "RestartingAllContainers" {
		t.Errorf("the other container's last state is %+v", last)
	}
	var made []string
	for _, c := range b.rt.Containers() {
		made = append(made, c.Config.Metadata.Name)
	}
	if len(made) == 4 {
		slices.Sort(made[2:]) // what is not for the start of others starts beside them
	}
	if got := strings.Join(made, " "); got != "init side main other" {
		t.Errorf("containers are %s", got)
	}
	b.rt.Exit("main", 42, "")
	b.until("p", "the pause of the second time", waitingFor("CrashLoopBackOff"))
	b.stop()
	b.begin()
	b.rt.Exit("other", 0, "")
	p = b.until("p", "its other container's end", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[1].State.Terminated != nil })
	if p.Status.Phase != corev1.PodRunning {
		t.Errorf("phase is %s", p.Status.Phase)
	}
}
