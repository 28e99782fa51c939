package status

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func container(name, state string) seen.Container {
	c := seen.Container{ID: name + "-id", Name: name, SandboxID: "box", Started: t0, Created: t0}
	switch {
	case state == "run":
		c.State = seen.Running
	case state == "new":
		c.State = seen.Created
	default:
		c.State, c.ExitCode, c.Finished = seen.Exited, int32(state[4]-'0'), t0
	}
	return c
}

// TestMake reads as: policy, init containers, containers, what is seen -> phase and the five conditions in the order
// ReadyToStart Initialized Ready ContainersReady.
func TestMake(t *testing.T) {
	sidecar := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		policy       corev1.RestartPolicy
		inits, mains string
		seen         string
		done         bool
		stop         *decide.Stop
		waiting      string
		want         string
	}{
		"nothing yet":            {policy: "Always", mains: "a", want: "Pending FTFF"},
		"all run":                {policy: "Always", mains: "a b", seen: "a=run b=run", want: "Running TTTT"},
		"one is still created":   {policy: "Always", mains: "a b", seen: "a=run", want: "Pending TTFF"},
		"init runs":              {policy: "Always", inits: "i", mains: "a", seen: "i=run", want: "Pending TFFF"},
		"init done":              {policy: "Always", inits: "i", mains: "a", seen: "i=exit0", want: "Pending TTFF"},
		"init failed, tries":     {policy: "Always", inits: "i", mains: "a", seen: "i=exit1", want: "Pending TFFF"},
		"init failed for good":   {policy: "Never", inits: "i", mains: "a", seen: "i=exit1", done: true, want: "Failed FFFF"},
		"crashed, restarts":      {policy: "Always", mains: "a", seen: "a=exit1", waiting: "a", want: "Running TTFF"},
		"job done":               {policy: "Never", mains: "a", seen: "a=exit0", done: true, want: "Succeeded FTFF"},
		"job failed":             {policy: "Never", mains: "a", seen: "a=exit1", done: true, want: "Failed FTFF"},
		"job done, sidecar runs": {policy: "Never", inits: "s+", mains: "a", seen: "s=run a=exit0", want: "Running TTFF"},
		"one of two done":        {policy: "Never", mains: "a b", seen: "a=exit0 b=run", want: "Running TTFF"},
		"deadline":               {policy: "Always", mains: "a", seen: "a=exit0", done: true, stop: &decide.Stop{Reason: "DeadlineExceeded"}, want: "Failed FTFF"},
		"deleted while running":  {policy: "Always", mains: "a", seen: "a=run", stop: &decide.Stop{}, want: "Running TTTT"},
		"deleted, ended badly":   {policy: "Always", mains: "a", seen: "a=exit1", done: true, stop: &decide.Stop{}, want: "Failed FTFF"},
		"deleted, ended well":    {policy: "Always", mains: "a", seen: "a=exit0", done: true, stop: &decide.Stop{}, want: "Succeeded FTFF"},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: c.policy}, Status: corev1.PodStatus{StartTime: &metav1.Time{Time: t0}}}
		in := Input{Pod: pod, Now: t0, Done: c.done, Stop: c.stop, Runtime: "fake", HostIPs: []string{"192.0.2.1"}, Started: map[string]bool{}, Waiting: map[string]Waiting{}}
		for _, n := range strings.Fields(c.inits) {
			ic := corev1.Container{Name: strings.TrimSuffix(n, "+")}
			if strings.HasSuffix(n, "+") {
				ic.RestartPolicy = &sidecar
			}
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, ic)
		}
		for _, n := range strings.Fields(c.mains) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: n})
		}
		for _, s := range strings.Fields(c.seen) {
			n, state, _ := strings.Cut(s, "=")
			in.Seen.Containers = append(in.Seen.Containers, container(n, state))
			in.Started[n+"-id"] = true
		}
		if c.seen != "" {
			in.Seen.Sandboxes = []seen.Sandbox{{ID: "box", Ready: true, IPs: []string{"10.0.0.1"}}}
		}
		if c.waiting != "" {
			in.Waiting[c.waiting] = Waiting{Reason: "CrashLoopBackOff"}
		}
		st := Make(in)
		got := string(st.Phase) + " "
		for _, cond := range st.Conditions[:4] {
			got += string(cond.Status[0])
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s (%+v)", name, got, c.want, st.Conditions)
		}
		again := in
		again.Pod = pod.DeepCopy()
		again.Pod.Status, again.Now = st, t0.Add(time.Hour)
		if second := Make(again); len(second.Conditions) != 5 || !second.Conditions[2].LastTransitionTime.Equal(&st.Conditions[2].LastTransitionTime) {
			t.Errorf("%s: the status moves by itself: %+v", name, second.Conditions)
		}
	}
}

func TestReadinessGates(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}, ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "x/y"}}}}
	in := Input{Pod: pod, Now: t0, Seen: seen.Pod{Containers: []seen.Container{container("a", "run")}}, Started: map[string]bool{"a-id": true}}
	st := Make(in)
	if c := st.Conditions[2]; c.Status != corev1.ConditionFalse || c.Reason != "ReadinessGatesNotReady" || c.Message != `corresponding condition of pod readiness gate "x/y" does not exist.` {
		t.Errorf("Ready is %+v", c)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: "x/y", Status: corev1.ConditionTrue}}
	if Make(in).Conditions[0].Type != "x/y" {
		t.Error("what others set does not come first")
	}
	if i := find(Make(in).Conditions, corev1.PodReady); Make(in).Conditions[i].Status != corev1.ConditionTrue {
		t.Error("the gate is open and the pod not ready")
	}
}

func TestLastState(t *testing.T) {
	now, before := container("a", "run"), container("a", "exit2")
	now.ID, now.Attempt = "new", 1
	in := Input{Pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}}, Now: t0, Runtime: "r", Seen: seen.Pod{Containers: []seen.Container{now, before}},
		Exit: func(*seen.Container) string { return "bye" }}
	cs := Make(in).ContainerStatuses[0]
	if cs.ContainerID != "r://new" || cs.RestartCount != 1 || cs.LastTerminationState.Terminated == nil || cs.LastTerminationState.Terminated.ExitCode != 2 || cs.LastTerminationState.Terminated.Message != "bye" {
		t.Errorf("status is %+v", cs)
	}
}

// A restarted container that is made and not yet started has no exit code: it must not end its pod.
func TestRestartIsNoEnd(t *testing.T) {
	now, before := container("a", "exit1"), container("a", "exit1")
	now.ID, now.Attempt, now.State, now.ExitCode = "new", 1, seen.Created, 0
	for _, policy := range []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyAlways} {
		in := Input{Pod: &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, Containers: []corev1.Container{{Name: "a"}}}}, Now: t0,
			Seen: seen.Pod{Containers: []seen.Container{now, before}}, Exit: func(*seen.Container) string { return "" }}
		if st := Make(in); st.Phase != corev1.PodRunning {
			t.Errorf("%s: phase %s, want Running", policy, st.Phase)
		}
	}
}

// Where the init containers failed, the others were never there to be lost: they wait for ever, also when all is cleaned up.
func TestNeverInitialized(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, InitContainers: []corev1.Container{{Name: "i"}}, Containers: []corev1.Container{{Name: "a"}}},
		Status: corev1.PodStatus{StartTime: &metav1.Time{Time: t0}}}
	in := Input{Pod: pod, Now: t0, Seen: seen.Pod{Containers: []seen.Container{container("i", "exit1")}}, Done: true, Over: true, Exit: func(*seen.Container) string { return "" }}
	for _, stop := range []*decide.Stop{nil, {Reason: "Evicted"}} {
		in.Stop = stop
		st := Make(in)
		if w := st.ContainerStatuses[0].State.Waiting; st.Phase != corev1.PodFailed || w == nil || w.Reason != "PodInitializing" {
			t.Errorf("stop %v: phase %s, state %+v", stop, st.Phase, st.ContainerStatuses[0].State)
		}
	}
}
