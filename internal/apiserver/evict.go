package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/negotiate"
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
	e, err := c.eviction(o.FieldValidation)
	if err != nil {
		return err
	}
	if e.Namespace != "" && e.Namespace != c.info.Namespace {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if e.Name != c.info.Name {
		return apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	del := e.DeleteOptions
	if del == nil {
		del = &metav1.DeleteOptions{}
	}
	if len(del.DryRun) == 0 {
		del.DryRun = o.DryRun
	}
	a := c.attributes(admission.Create, e, nil, o, len(del.DryRun) > 0)
	a.Kind = policyv1.SchemeGroupVersion.WithKind("Eviction")
	if err := c.vet(a); err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := c.evictOnce(del)
		var many tooManyBudgets
		switch {
		case errors.As(err, &many):
			return c.reply(http.StatusCreated, &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: many.Error()}, statusKind)
		case again && try < maxAttempts && c.ctx().Err() == nil:
			continue // the pod changed after it was looked at
		case err != nil:
			return err
		}
		return c.reply(http.StatusCreated, &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusCreated}, statusKind)
	}
}

// eviction reads the body, of which old clients send an older version.
func (c *call) eviction(validation string) (*policyv1.Eviction, error) {
	media, err := negotiate.Input(c.r)
	if err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	obj, warned, err := api.DecodeAs(policyv1.SchemeGroupVersion.WithKind("Eviction"), body, string(media), fieldValidation(validation))
	if err != nil {
		old, more, oldErr := api.DecodeAs(policyv1beta1.SchemeGroupVersion.WithKind("Eviction"), body, string(media), fieldValidation(validation))
		if oldErr != nil {
			return nil, err
		}
		warned = more
		if obj, err = api.Convert(old, policyv1.SchemeGroupVersion); err != nil {
			return nil, apierrors.NewInternalError(err)
		}
	}
	c.warn.add(warned...)
	return obj.(*policyv1.Eviction), nil
}

// pinned says whether the client names the state of the pod that it wants evicted.
func pinned(o *metav1.DeleteOptions) bool {
	return o.Preconditions != nil && o.Preconditions.ResourceVersion != nil && *o.Preconditions.ResourceVersion != ""
}

// evictOnce is one round on the pod's present state. Where that state is why no budget is spent, the pod is deleted in that
// state or not at all; again says that it has changed meanwhile.
func (c *call) evictOnce(o *metav1.DeleteOptions) (again bool, err error) {
	pod, err := c.pod(c.info.Name)
	if err != nil {
		return false, err
	}
	free := pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil
	if !ignoresBudget(pod) {
		if free, err = c.spend(pod, len(o.DryRun) > 0); err != nil {
			return false, err
		}
	}
	free = free && !pinned(o)
	if free {
		o = o.DeepCopy()
		if o.Preconditions == nil {
			o.Preconditions = &metav1.Preconditions{}
		}
		o.Preconditions.ResourceVersion = &pod.ResourceVersion
	}
	if len(o.DryRun) == 0 {
		if o, err = c.markEvicted(o); err != nil {
			return free && apierrors.IsConflict(err), err
		}
	}
	err = c.deletePod(o)
	return free && apierrors.IsConflict(err), err
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

// tooManyBudgets is a pod that more than one budget covers.
type tooManyBudgets struct{}

func (tooManyBudgets) Error() string {
	return "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
}

// spend takes one allowed disruption from the budget that covers the pod, if any does. free is true where the pod is not
// ready, so that its removal disrupts nothing and nothing is spent.
func (c *call) spend(pod *corev1.Pod, dryRun bool) (free bool, err error) {
	budgets, err := c.budgetsOf(c.ctx(), pod)
	if err != nil || len(budgets) == 0 {
		return false, err
	}
	if len(budgets) > 1 {
		return false, tooManyBudgets{}
	}
	if !ready(pod) && sparesUnready(budgets[0]) {
		return true, nil
	}
	r := c.s.resources[budgetsResource]
	fm, err := c.s.owners.of(r, r.Sub("status"), false)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	_, err = c.s.rewrite(c, r, budgets[0].Name, dryRun, func(obj api.Object) error {
		old := copyOf(obj)
		if err := spendOne(obj.(*policyv1.PodDisruptionBudget), pod, metav1.NewTime(c.s.cfg.Now())); err != nil {
			return err
		}
		obj.SetManagedFields(fm.UpdateNoErrors(old, obj, serverManager).(api.Object).GetManagedFields())
		return nil
	})
	return false, err
}

// serverManager owns the fields that the server writes of its own accord.
const serverManager = "kube-apiserver"

// sparesUnready says whether the budget lets pods go that are not ready, without counting them.
func sparesUnready(b *policyv1.PodDisruptionBudget) bool {
	p := b.Spec.UnhealthyPodEvictionPolicy
	return p != nil && *p == policyv1.AlwaysAllow || b.Status.CurrentHealthy >= b.Status.DesiredHealthy && b.Status.DesiredHealthy > 0
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
	if b.Status.DisruptionsAllowed--; b.Status.DisruptionsAllowed == 0 {
		meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse,
			Reason: policyv1.InsufficientPodsReason, ObservedGeneration: b.Status.ObservedGeneration, LastTransitionTime: now})
	}
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

// markEvicted leaves in the pod's status why it goes. It returns options that fit the pod's new state.
func (c *call) markEvicted(o *metav1.DeleteOptions) (*metav1.DeleteOptions, error) {
	st, err := c.s.rewrite(c, c.s.resources[podsResource], c.info.Name, false, func(obj api.Object) error {
		if err := meets(obj, o.Preconditions); err != nil {
			return err
		}
		setCondition(obj.(*corev1.Pod), corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"})
		return nil
	})
	if err != nil || !pinned(o) {
		return o, err
	}
	o = o.DeepCopy()
	version := strconv.FormatInt(st.revision, 10)
	o.Preconditions.ResourceVersion = &version
	return o, nil
}

// meets holds a pod to preconditions; its error is a Conflict.
func meets(obj metav1.Object, p *metav1.Preconditions) error {
	gr := schema.GroupResource{Resource: "Pod"}
	if p != nil && p.UID != nil && *p.UID != "" && *p.UID != obj.GetUID() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). "+
			"The object might have been deleted and then recreated", *p.UID, obj.GetUID()))
	}
	if p != nil && p.ResourceVersion != nil && *p.ResourceVersion != "" && *p.ResourceVersion != obj.GetResourceVersion() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion "+
			"in record (%s). The object might have been modified", *p.ResourceVersion, obj.GetResourceVersion()))
	}
	return nil
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
