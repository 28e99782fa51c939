package admission

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const psa = "pod-security.kubernetes.io/"

func labelled(labels ...string) world {
	w := plain()
	ns := w[namespaces][0].(*corev1.Namespace)
	ns.Labels = map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		ns.Labels[psa+labels[i]] = labels[i+1]
	}
	return w
}

func TestPodSecurityLevels(t *testing.T) {
	yes, no := true, false
	privileged := pod(func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes} })
	baseline := pod()
	restricted := pod(func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	})
	for _, c := range []struct {
		level                            string
		privileged, baseline, restricted bool
	}{{"privileged", true, true, true}, {"baseline", false, true, true}, {"restricted", false, false, true}, {"unreadable", false, false, true}} {
		for _, p := range []struct {
			what string
			pod  *corev1.Pod
			ok   bool
		}{{"privileged", privileged, c.privileged}, {"baseline", baseline, c.baseline}, {"restricted", restricted, c.restricted}} {
			want := ""
			if !p.ok {
				want = "violates PodSecurity"
			}
			expect(t, c.level+" namespace, "+p.what+" pod", run(labelled("enforce", c.level), create(pods, p.pod.DeepCopy())), want)
		}
	}
	err := run(labelled("enforce", "baseline"), create(pods, privileged.DeepCopy()))
	expect(t, "words", err, `pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)`)
	same := update(pods, "", privileged, privileged)
	expect(t, "update without new image", run(labelled("enforce", "baseline"), same), "")
}

func TestPodSecurityWarns(t *testing.T) {
	yes := true
	privileged := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", SecurityContext: &corev1.SecurityContext{Privileged: &yes}}}}
	w := labelled("warn", "baseline")
	a := create(pods, &corev1.Pod{ObjectMeta: named("a", "p"), Spec: *privileged.DeepCopy()})
	expect(t, "pod", run(w, a), "")
	if len(a.Warnings) != 1 || !strings.HasPrefix(a.Warnings[0], `would violate PodSecurity "baseline:latest": privileged`) {
		t.Error(a.Warnings)
	}
	d := create(appsv1.Resource("deployments"), &appsv1.Deployment{ObjectMeta: named("a", "d"), Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: privileged}}})
	expect(t, "deployment", run(w, d), "")
	if len(d.Warnings) != 1 {
		t.Error(d.Warnings)
	}
}

func TestPodSecurityOfNamespaces(t *testing.T) {
	yes := true
	w := plain()
	for _, name := range []string{"p2", "p1", "p3"} {
		w.With(pods, pod(func(p *corev1.Pod) {
			p.Name = name
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		}))
	}
	ns := func(level string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{psa + "enforce": level}}}
	}
	expect(t, "bad label", run(w, create(namespaces, ns("strict"))), `must be one of privileged, baseline, restricted`)
	a := update(namespaces, "", ns("baseline"), ns("privileged"))
	expect(t, "tightened", run(w, a), "")
	if len(a.Warnings) != 2 || a.Warnings[0] != `existing pods in namespace "a" violate the new PodSecurity enforce level "baseline:latest"` || a.Warnings[1] != "p1 (and 2 other pods): privileged" {
		t.Errorf("%q", a.Warnings)
	}
	a = update(namespaces, "", ns("privileged"), ns("baseline"))
	if expect(t, "relaxed", run(w, a), ""); len(a.Warnings) > 0 {
		t.Error(a.Warnings)
	}
}
