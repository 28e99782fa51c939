package apiserver

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
)

var budgetsResource = schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}

// maxDisrupted bounds the evictions that a budget's controller has not confirmed.
const maxDisrupted = 2000

// evict deletes a pod where its disruption budget allows that.
func (c *call) evict() error {
	o, err := c.createOptions()
	if err != nil {
		return err
	}
	e, err := decodeInto[*policyv1.Eviction](c, policyv1.SchemeGroupVersion, "Eviction", o.FieldValidation)
	if err != nil {
		return err
	}
	if e.Name != c.info.Name {
		return apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	del := e.DeleteOptions
	if del == nil {
		del = &metav1.DeleteOptions{}
	}
	dryRun := isDryRun(o.DryRun) || isDryRun(del.DryRun)
	if dryRun {
		del.DryRun = []string{metav1.DryRunAll}
	}
	a := c.attributes(admission.Create, e, nil, o, dryRun)
	a.Kind = policyv1.SchemeGroupVersion.WithKind("Eviction")
	if err := c.vet(a); err != nil {
		return err
	}
	pod, err := c.pod(c.info.Name)
	if err != nil {
		return err
	}
	if !ignoresBudget(pod) {
		if err := c.spend(pod, dryRun); err != nil {
			return err
		}
		if err := c.markEvicted(dryRun); err != nil {
			return err
		}
	}
	if err := c.deletePod(del); err != nil {
		return err
	}
	return c.reply(http.StatusCreated, &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusCreated}, statusKind)
}

// pod reads the newest state of a pod of the call's namespace.
func (c *call) pod(name string) (*corev1.Pod, error) {
	r := c.s.resources[podsResource]
	st, err := c.s.current(c.ctx(), r, r.Key(c.info.Namespace, name), true)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, apierrors.NewNotFound(podsResource.GroupResource(), name)
	}
	return st.obj.(*corev1.Pod), nil
}

// ignoresBudget says whether the pod serves nobody, so that its removal disrupts nothing.
func ignoresBudget(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed, corev1.PodPending:
		return true
	}
	return pod.DeletionTimestamp != nil
}

// spend takes one allowed disruption from the budget that covers the pod, if any does.
func (c *call) spend(pod *corev1.Pod, dryRun bool) error {
	budgets, err := c.budgetsOf(c.ctx(), pod)
	if err != nil || len(budgets) == 0 {
		return err
	}
	if len(budgets) > 1 {
		return apierrors.NewInternalError(fmt.Errorf("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."))
	}
	_, err = c.s.rewrite(c, c.s.resources[budgetsResource], budgets[0].Name, dryRun, func(obj api.Object) error {
		return spendOne(obj.(*policyv1.PodDisruptionBudget), pod, metav1.NewTime(c.s.cfg.Now()))
	})
	return err
}

func (c *call) budgetsOf(ctx context.Context, pod *corev1.Pod) ([]*policyv1.PodDisruptionBudget, error) {
	if len(pod.Labels) == 0 {
		return nil, nil
	}
	if _, err := c.s.cache.Fresh(ctx); err != nil {
		return nil, err
	}
	list, err := c.s.objects.List(ctx, budgetsResource.GroupResource(), pod.Namespace)
	if err != nil {
		return nil, err
	}
	var out []*policyv1.PodDisruptionBudget
	for _, obj := range list {
		b := obj.(*policyv1.PodDisruptionBudget)
		sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && sel.Matches(labels.Set(pod.Labels)) {
			out = append(out, b)
		}
	}
	return out, nil
}

// spendOne takes one disruption from b, or says why there is none.
func spendOne(b *policyv1.PodDisruptionBudget, pod *corev1.Pod, now metav1.Time) error {
	if !ready(pod) {
		p := b.Spec.UnhealthyPodEvictionPolicy
		if p != nil && *p == policyv1.AlwaysAllow {
			return nil
		}
		if b.Status.CurrentHealthy >= b.Status.DesiredHealthy && b.Status.DesiredHealthy > 0 {
			return nil
		}
	}
	gr := budgetsResource.GroupResource()
	switch {
	case b.Status.ObservedGeneration < b.Generation:
		return tooDisruptive(10, fmt.Sprintf("The disruption budget %s is still being processed by the server.", b.Name))
	case b.Status.DisruptionsAllowed < 0:
		return apierrors.NewForbidden(gr, b.Name, fmt.Errorf("pdb disruptions allowed is negative"))
	case len(b.Status.DisruptedPods) > maxDisrupted:
		return apierrors.NewForbidden(gr, b.Name, fmt.Errorf("DisruptedPods map too big - too many evictions not confirmed by PDB controller"))
	case b.Status.DisruptionsAllowed == 0:
		return tooDisruptive(0, fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy))
	}
	b.Status.DisruptionsAllowed--
	if b.Status.DisruptedPods == nil {
		b.Status.DisruptedPods = map[string]metav1.Time{}
	}
	b.Status.DisruptedPods[pod.Name] = now
	return nil
}

func tooDisruptive(retry int, cause string) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retry)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: cause})
	return err
}

func ready(pod *corev1.Pod) bool {
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

// markEvicted leaves in the pod's status why it goes.
func (c *call) markEvicted(dryRun bool) error {
	_, err := c.s.rewrite(c, c.s.resources[podsResource], c.info.Name, dryRun, func(obj api.Object) error {
		setCondition(obj.(*corev1.Pod), corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting", ObservedGeneration: obj.GetGeneration()})
		return nil
	})
	return err
}

// deletePod deletes the pod of the call as its user.
func (c *call) deletePod(o *metav1.DeleteOptions) error {
	m := *c
	info := *c.info
	info.Subresource = ""
	m.info, m.sub = &info, nil
	_, err := m.deleteObject(o)
	return err
}
