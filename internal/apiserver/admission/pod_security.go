package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// How many pods of a namespace are looked at when its level becomes stricter.
const podsChecked = 3000

// podChecker evaluates the Pod Security Standards.
type podChecker struct{ evaluator policy.Evaluator }

// unrestricted is the policy of namespaces without labels.
var unrestricted = api.Policy{
	Enforce: api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()},
	Audit:   api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()},
	Warn:    api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()},
}

// podSecurity holds pods to the level that their namespace's labels name, and warns of templates that will not pass.
func podSecurity() plugin {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(fmt.Sprintf("admission: pod security checks of the library are not valid: %v", err))
	}
	p := podChecker{evaluator}
	return plugin{
		name: "PodSecurity",
		handles: func(op Operation, gr schema.GroupResource, sub string) bool {
			if op != Create && op != Update {
				return false
			}
			if gr == pods {
				return sub == "" || sub == "ephemeralcontainers" || sub == "resize"
			}
			return sub == "" && (gr == namespaces || hasTemplate[gr])
		},
		validate: func(ctx context.Context, c *Config, a *Attributes) error {
			switch o := a.Object.(type) {
			case *corev1.Namespace:
				return p.checkNamespace(ctx, c, a, o)
			case *corev1.Pod:
				return p.checkPod(ctx, c, a, o)
			}
			return p.checkTemplate(ctx, c, a)
		},
	}
}

// checkNamespace refuses labels that cannot be read, and warns of pods that the new level would not let in.
func (p podChecker) checkNamespace(ctx context.Context, c *Config, a *Attributes, ns *corev1.Namespace) error {
	now, errs := api.PolicyToEvaluate(ns.Labels, unrestricted)
	was, ok := old[*corev1.Namespace](a)
	if a.Operation == Create || !ok {
		if len(errs) > 0 {
			return apierrors.NewInvalid(a.Kind.GroupKind(), ns.Name, errs)
		}
		return nil
	}
	before, oldErrs := api.PolicyToEvaluate(was.Labels, unrestricted)
	if len(errs) > 0 && errs.ToAggregate().Error() != fmt.Sprint(oldErrs.ToAggregate()) {
		return apierrors.NewInvalid(a.Kind.GroupKind(), ns.Name, errs)
	}
	relaxed := now.Enforce.Version == before.Enforce.Version && api.CompareLevels(now.Enforce.Level, before.Enforce.Level) < 1
	if now.Enforce == before.Enforce || now.Enforce.Level == api.LevelPrivileged || relaxed {
		return nil
	}
	return p.warnOfPods(ctx, c, a, ns.Name, now.Enforce)
}

// warnOfPods names, for each reason, the first pod and how many more there are.
func (p podChecker) warnOfPods(ctx context.Context, c *Config, a *Attributes, namespace string, level api.LevelVersion) error {
	all, err := list[*corev1.Pod](ctx, c.Objects, pods, namespace)
	if err != nil {
		a.warn("failed to list pods while checking new PodSecurity enforce level")
		return nil
	}
	if len(all) > podsChecked {
		a.warn("new PodSecurity enforce level only checked against the first %d of %d existing pods", podsChecked, len(all))
		all = all[:podsChecked]
	}
	names := map[string][]string{}
	for _, pod := range all {
		if r := policy.AggregateCheckResults(p.evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
			names[r.ForbiddenReason()] = append(names[r.ForbiddenReason()], pod.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	a.warn("existing pods in namespace %q violate the new PodSecurity enforce level %q", namespace, level.String())
	var lines []string
	for reason, pods := range names {
		slices.Sort(pods)
		others := ""
		switch n := len(pods) - 1; {
		case n == 1:
			others = " (and 1 other pod)"
		case n > 1:
			others = fmt.Sprintf(" (and %d other pods)", n)
		}
		lines = append(lines, pods[0]+others+": "+reason)
	}
	slices.Sort(lines)
	a.Warnings = append(a.Warnings, lines...)
	return nil
}

func (p podChecker) checkPod(ctx context.Context, c *Config, a *Attributes, pod *corev1.Pod) error {
	if was, ok := old[*corev1.Pod](a); ok && a.Operation == Update && sameImages(pod, was) {
		return nil
	}
	levels, err := p.levels(ctx, c, a)
	if err != nil {
		return err
	}
	if levels.FullyPrivileged() {
		return nil
	}
	if r := policy.AggregateCheckResults(p.evaluator.EvaluatePod(levels.Enforce, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
		return a.forbid("violates PodSecurity %q: %s", levels.Enforce.String(), r.ForbiddenDetail())
	}
	p.warn(a, levels.Warn, &pod.ObjectMeta, &pod.Spec)
	return nil
}

func (p podChecker) checkTemplate(ctx context.Context, c *Config, a *Attributes) error {
	m, spec := template(a.Object)
	if spec == nil {
		return nil
	}
	levels, err := p.levels(ctx, c, a)
	if err != nil || levels.Warn.Level == api.LevelPrivileged {
		return nil // what the template makes is checked when it is made
	}
	p.warn(a, levels.Warn, m, spec)
	return nil
}

func (p podChecker) warn(a *Attributes, level api.LevelVersion, m *metav1.ObjectMeta, spec *corev1.PodSpec) {
	if r := policy.AggregateCheckResults(p.evaluator.EvaluatePod(level, m, spec)); !r.Allowed {
		a.warn("would violate PodSecurity %q: %s", level.String(), r.ForbiddenDetail())
	}
}

// levels are those of the write's namespace. A label that cannot be read counts as the strictest level.
func (p podChecker) levels(ctx context.Context, c *Config, a *Attributes) (api.Policy, error) {
	ns, err := read[*corev1.Namespace](ctx, c.Objects, namespaces, "", a.Namespace)
	if err != nil {
		return api.Policy{}, apierrors.NewInternalError(fmt.Errorf("failed to lookup namespace %q", a.Namespace))
	}
	levels, _ := api.PolicyToEvaluate(ns.Labels, unrestricted)
	return levels, nil
}

// sameImages says whether an update of a pod changes nothing that the standards speak of.
func sameImages(pod, was *corev1.Pod) bool {
	images := func(p *corev1.Pod) string {
		var b strings.Builder
		for _, c := range append(slices.Clone(p.Spec.InitContainers), p.Spec.Containers...) {
			fmt.Fprintln(&b, c.Name, c.Image)
		}
		for _, c := range p.Spec.EphemeralContainers {
			fmt.Fprintln(&b, c.Name, c.Image)
		}
		return b.String()
	}
	return images(pod) == images(was)
}

// hasTemplate are the resources that make pods from a template.
var hasTemplate = map[schema.GroupResource]bool{
	corev1.Resource("podtemplates"): true, corev1.Resource("replicationcontrollers"): true, appsv1.Resource("deployments"): true,
	appsv1.Resource("replicasets"): true, appsv1.Resource("statefulsets"): true, appsv1.Resource("daemonsets"): true,
	batchv1.Resource("jobs"): true, batchv1.Resource("cronjobs"): true,
}

// template is the pod template of o, nil where it has none.
func template(o runtime.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	var t *corev1.PodTemplateSpec
	switch o := o.(type) {
	case *corev1.PodTemplate:
		t = &o.Template
	case *corev1.ReplicationController:
		t = o.Spec.Template
	case *appsv1.Deployment:
		t = &o.Spec.Template
	case *appsv1.ReplicaSet:
		t = &o.Spec.Template
	case *appsv1.StatefulSet:
		t = &o.Spec.Template
	case *appsv1.DaemonSet:
		t = &o.Spec.Template
	case *batchv1.Job:
		t = &o.Spec.Template
	case *batchv1.CronJob:
		t = &o.Spec.JobTemplate.Spec.Template
	}
	if t == nil {
		return nil, nil
	}
	return &t.ObjectMeta, &t.Spec
}
