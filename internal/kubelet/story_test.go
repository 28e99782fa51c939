package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"minato.dev/minato/internal/client"
)

func waitingFor(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		if p == nil {
			return false
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if w := c.State.Waiting; w != nil && w.Reason == reason {
				return true
			}
		}
		return false
	}
}

func phase(want corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == want }
}

func command(cmd ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Command = cmd }
}

func policy(r corev1.RestartPolicy) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.RestartPolicy = r }
}

func (b *bench) events(name string) string {
	b.t.Helper()
	list, _, err := client.Of(b.api.Client, client.Events).List(b.t.Context(), "default", metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if e.InvolvedObject.Name == name {
			out = append(out, e.Reason+": "+e.Message)
		}
	}
	return strings.Join(out, "\n")
}

func (b *bench) event(name, want string) {
	b.t.Helper()
	b.poll(func() bool { return strings.Contains(b.events(name), want) }, func() string {
		return fmt.Sprintf("no event %q; there are:\n%s", want, b.events(name))
	})
}

func TestEnds(t *testing.T) {
	b := start(t)
	b.create(pod("ok", command("exit", "0"), policy(corev1.RestartPolicyNever)))
	b.create(pod("bad", command("exit", "3"), policy(corev1.RestartPolicyNever)))
	p := b.until("ok", "Succeeded", phase(corev1.PodSucceeded))
	if tm := p.Status.ContainerStatuses[0].State.Terminated; tm == nil || tm.Reason != "Completed" {
		t.Errorf("state is %+v", p.Status.ContainerStatuses[0].State)
	}
	p = b.until("bad", "Failed", phase(corev1.PodFailed))
	if tm := p.Status.ContainerStatuses[0].State.Terminated; tm == nil || tm.ExitCode != 3 || tm.Reason != "Error" {
		t.Errorf("state is %+v", p.Status.ContainerStatuses[0].State)
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && (c.Status != corev1.ConditionFalse || c.Reason != "PodFailed") {
			t.Errorf("Ready is %+v", c)
		}
	}
}

func TestCrashLoop(t *testing.T) {
	b := start(t)
	b.create(pod("p", command("exit", "1")))
	p := b.until("p", "CrashLoopBackOff", waitingFor("CrashLoopBackOff"))
	cs := p.Status.ContainerStatuses[0]
	if cs.RestartCount != 1 || cs.LastTerminationState.Terminated == nil || !strings.HasPrefix(cs.State.Waiting.Message, "back-off 10s restarting failed container=main pod=p_default(") || p.Status.Phase != corev1.PodRunning {
		t.Errorf("status is %v %+v", p.Status.Phase, cs)
	}
	b.event("p", "BackOff: Back-off restarting failed container main in pod p_default(")
	b.stop()
	b.begin()
	b.until("p", "CrashLoopBackOff still", waitingFor("CrashLoopBackOff"))
	for list, i := b.rt.Containers(), 2; i < len(list); i++ { // on a slow machine the back-off may have ended by itself
		if pause := time.Duration(list[i].Status.CreatedAt - list[i-1].Status.FinishedAt); pause < 9*time.Second {
			t.Errorf("a restart of the kubelet ended the back-off after %v", pause)
		}
	}
}

func TestImages(t *testing.T) {
	b := start(t)
	b.create(pod("missing", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "nowhere" }))
	b.create(pod("never", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = "nowhere", corev1.PullNever
	}))
	b.create(pod("name", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "UPPER//case" }))
	b.create(pod("pulled", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "remote" }))
	p := b.until("missing", "ErrImagePull", waitingFor("ErrImagePull"))
	if m := p.Status.ContainerStatuses[0].State.Waiting.Message; m != `manifest "nowhere:latest" not found` {
		t.Errorf("message is %q", m)
	}
	b.until("never", "ErrImageNeverPull", waitingFor("ErrImageNeverPull"))
	b.until("name", "InvalidImageName", waitingFor("InvalidImageName"))
	b.until("pulled", "Ready", isReady)
	b.event("pulled", `Pulled: Successfully pulled image "remote" in `)
	p = b.until("missing", "ImagePullBackOff", waitingFor("ImagePullBackOff"))
	if m := p.Status.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(m, `Back-off pulling image "nowhere": ErrImagePull: manifest`) {
		t.Errorf("message is %q", m)
	}
	b.event("missing", `Failed: Error: ErrImagePull`)
}

func TestAdoption(t *testing.T) {
	b := start(t)
	b.create(pod("stays"))
	b.create(pod("ends", policy(corev1.RestartPolicyNever), func(p *corev1.Pod) { p.Spec.Containers[0].Name = "dies" }))
	b.create(pod("goes"))
	before := b.until("stays", "Ready", isReady)
	b.until("ends", "Ready", isReady)
	b.until("goes", "Ready", isReady)
	b.stop()
	b.rt.Exit("dies", 7, "")
	zero := int64(0)
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "goes", metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	b.begin()
	p := b.until("ends", "Failed", phase(corev1.PodFailed))
	if tm := p.Status.ContainerStatuses[0].State.Terminated; tm == nil || tm.ExitCode != 7 {
		t.Errorf("state is %+v", p.Status.ContainerStatuses[0].State)
	}
	after := b.until("stays", "Ready", isReady)
	if after.Status.ContainerStatuses[0].ContainerID != before.Status.ContainerStatuses[0].ContainerID || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("an undisturbed pod was touched: %v to %v", before.ResourceVersion, after.ResourceVersion)
	}
	b.poll(func() bool { return len(b.rt.Sandboxes()) == 2 }, func() string { return "the orphan's sandbox is left" })
}

func TestInitAndSidecar(t *testing.T) {
	b := start(t)
	always := corev1.ContainerRestartPolicyAlways
	b.create(pod("p", policy(corev1.RestartPolicyNever), func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{
			{Name: "first", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"exit", "0"}},
			{Name: "side", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: &always},
			{Name: "last", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"exit", "0"}},
		}
	}))
	b.until("p", "Ready", isReady)
	var order []string
	for _, c := range b.rt.Containers() {
		order = append(order, c.Config.Metadata.Name)
	}
	if got := strings.Join(order, " "); got != "first side last main" {
		t.Errorf("order is %s", got)
	}
	b.rt.Exit("main", 0, "")
	p := b.until("p", "Succeeded", phase(corev1.PodSucceeded))
	if side := p.Status.InitContainerStatuses[1]; side.State.Terminated == nil {
		t.Errorf("the sidecar is %+v", side.State)
	}
}

func TestSandboxDies(t *testing.T) {
	b := start(t)
	b.create(pod("p"))
	first := b.until("p", "Ready", isReady)
	b.rt.KillSandboxes()
	p := b.until("p", "another container", func(p *corev1.Pod) bool {
		return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1
	})
	if p.Status.PodIP == first.Status.PodIP {
		t.Errorf("the new sandbox has the old address %s", p.Status.PodIP)
	}
	b.event("p", "SandboxChanged: Pod sandbox changed, it will be killed and re-created.")
}

func TestSandboxFails(t *testing.T) {
	b := start(t, func(b *bench) {
		var asked atomic.Int32
		b.rt.Fail = func(verb string, _ any) error {
			if verb == "RunPodSandbox" && asked.Add(1) == 1 {
				return status.Error(codes.Unknown, "no address left")
			}
			return nil
		}
	})
	b.create(pod("p"))
	b.event("p", "FailedCreatePodSandBox: Failed to create pod sandbox: no address left")
	b.until("p", "Ready", isReady)
}

func TestProbes(t *testing.T) {
	var sick atomic.Bool
	b := start(t, func(b *bench) {
		b.rt.OnExec = func(_ string, cmd []string) (int32, string) {
			if cmd[0] == "ready" || !sick.Load() {
				return 0, ""
			}
			return 1, "sick"
		}
	})
	b.create(pod("p", func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ready"}}}, PeriodSeconds: 1}
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ready"}}}, PeriodSeconds: 1}
		c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"live"}}}, PeriodSeconds: 1, FailureThreshold: 1}
	}))
	b.create(pod("http", func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: "127.0.0.1", Port: intstr.FromInt32(1)}}, PeriodSeconds: 1}
	}))
	b.until("p", "Ready", isReady)
	b.event("http", "Unhealthy: Readiness probe failed: dial tcp 127.0.0.1:1: connect: connection refused")
	sick.Store(true)
	b.until("p", "a restart", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount >= 1 })
	b.event("p", "Killing: Container main failed liveness probe, will be restarted")
	b.event("p", "Unhealthy: Liveness probe failed: sick")
}

func TestHooksAndDeadline(t *testing.T) {
	ran := make(chan string, 10)
	b := start(t, func(b *bench) {
		b.rt.OnExec = func(_ string, cmd []string) (int32, string) { ran <- cmd[0]; return 0, "" }
	})
	b.create(pod("p", func(p *corev1.Pod) {
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
			PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"began"}}},
			PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"ends"}}}}
	}))
	b.until("p", "Ready", isReady)
	if _, err := client.Of(b.api.Client, client.Pods).Patch(t.Context(), "default", "p", types.MergePatchType, []byte(`{"spec":{"activeDeadlineSeconds":1}}`)); err != nil {
		t.Fatal(err)
	}
	p := b.until("p", "Failed", phase(corev1.PodFailed))
	if p.Status.Reason != "DeadlineExceeded" {
		t.Errorf("reason is %q", p.Status.Reason)
	}
	if a, z := <-ran, <-ran; a != "began" || z != "ends" {
		t.Errorf("hooks ran as %s, %s", a, z)
	}
}

func TestRefusals(t *testing.T) {
	b := start(t)
	b.create(pod("sysctl", func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.msgmax", Value: "1"}}}
	}))
	yes := true
	b.create(pod("root", func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsNonRoot: &yes}
	}))
	b.create(pod("env", func(p *corev1.Pod) {
		p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "later"}}}}
	}))
	p := b.until("sysctl", "Failed", phase(corev1.PodFailed))
	if p.Status.Reason != "SysctlForbidden" {
		t.Errorf("reason is %q", p.Status.Reason)
	}
	p = b.until("root", "CreateContainerConfigError", waitingFor("CreateContainerConfigError"))
	if m := p.Status.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(m, "container has runAsNonRoot and image will run as root (pod: \"root_default(") {
		t.Errorf("message is %q", m)
	}
	b.until("env", "CreateContainerConfigError", waitingFor("CreateContainerConfigError"))
	if _, err := client.Of(b.api.Client, client.ConfigMaps).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "later"}, Data: map[string]string{"A": "1"}}); err != nil {
		t.Fatal(err)
	}
	b.until("env", "Ready", isReady)
}

func TestLiveVolumes(t *testing.T) {
	b := start(t)
	maps := client.Of(b.api.Client, client.ConfigMaps)
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cm"}, Data: map[string]string{"k": "one"}}); err != nil {
		t.Fatal(err)
	}
	p := b.create(pod("p", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}},
			{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}, {Name: "e", MountPath: "/e", SubPath: "a/b"}}
	}))
	b.until("p", "Ready", isReady)
	file := filepath.Join(b.cfg.RootDir, "pods", string(p.UID), "volumes", "kubernetes.io~configmap", "v", "k")
	if got, err := os.ReadFile(file); err != nil || string(got) != "one" {
		t.Fatalf("file is %q, %v", got, err)
	}
	if _, err := maps.Patch(t.Context(), "default", "cm", types.MergePatchType, []byte(`{"data":{"k":"two"}}`)); err != nil {
		t.Fatal(err)
	}
	b.poll(func() bool { got, _ := os.ReadFile(file); return string(got) == "two" }, func() string { return "the file did not change" })
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("p", "its removal", func(p *corev1.Pod) bool { return p == nil })
	b.poll(func() bool {
		raw, err := os.ReadFile("/proc/self/mountinfo")
		return err == nil && !strings.Contains(string(raw), string(p.UID))
	}, func() string { return "mounts are left" })
}

func TestNode(t *testing.T) {
	b := start(t)
	n, err := client.Of(b.api.Client, client.Nodes).Get(t.Context(), "", "n1")
	if err != nil {
		t.Fatal(err)
	}
	if n.Labels[corev1.LabelHostname] != "n1" || n.Status.Capacity.Cpu().IsZero() || n.Status.NodeInfo.KubeletVersion != "v1.37.2+test" || n.Status.NodeInfo.ContainerRuntimeVersion != "fake://1.0" {
		t.Errorf("node is %+v", n)
	}
	ready := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && c.Reason == "KubeletReady"
	})
	if ready < 0 {
		t.Errorf("conditions are %+v", n.Status.Conditions)
	}
	b.poll(func() bool {
		l, err := client.Of(b.api.Client, client.Leases).Get(t.Context(), "kube-node-lease", "n1")
		return err == nil && l.Spec.RenewTime != nil
	}, func() string { return "no lease" })
}

func TestRelistWithoutEvents(t *testing.T) {
	b := start(t, func(b *bench) { b.rt.Quiet = true })
	b.create(pod("p"))
	b.until("p", "Ready", isReady)
	b.rt.Exit("main", 0, "")
	b.until("p", "a restart", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 })
}
