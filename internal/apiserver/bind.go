package apiserver

import (
	"errors"
	"fmt"
	"maps"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/store"
)

var podsResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// bind gives a pod its node, once: by pods/binding or by a Binding in the old way.
func (c *call) bind() error {
	o, err := c.createOptions()
	if err != nil {
		return err
	}
	b, err := decodeInto[*corev1.Binding](c, corev1.SchemeGroupVersion, "Binding", o.FieldValidation)
	if err != nil {
		return err
	}
	if c.info.Name == "" {
		if c.info.Name = b.Name; b.Name == "" {
			return apierrors.NewBadRequest("Name parameter required.")
		}
	}
	if b.Namespace != "" && b.Namespace != c.info.Namespace {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	b.Namespace = c.info.Namespace
	if b.Name != c.info.Name {
		return apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if errs := validBinding(b); len(errs) > 0 {
		return errs.ToAggregate()
	}
	dryRun := isDryRun(o.DryRun)
	a := c.attributes(admission.Create, b, nil, o, dryRun)
	a.Kind = corev1.SchemeGroupVersion.WithKind("Binding")
	if err := c.admit(a); err != nil {
		return err
	}
	if err := c.vet(a); err != nil {
		return err
	}
	if _, err := c.s.rewrite(c, c.s.resources[podsResource], c.info.Name, dryRun, func(obj api.Object) error {
		return assign(obj.(*corev1.Pod), b)
	}); err != nil {
		var old stale
		if errors.As(err, &old) {
			return apierrors.NewConflict(podsResource.GroupResource(), b.Name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: %s, "+
				"ResourceVersion: 0, AdditionalErrorMsg: %s", c.s.resources[podsResource].Key(c.info.Namespace, b.Name), string(old)))
		}
		var refused refusal
		if errors.As(err, &refused) {
			return apierrors.NewConflict(schema.GroupResource{Resource: "pods/binding"}, b.Name, refused)
		}
		return err
	}
	return c.reply(http.StatusCreated, &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusCreated}, statusKind)
}

func validBinding(b *corev1.Binding) field.ErrorList {
	var errs field.ErrorList
	if b.Target.Kind != "" && b.Target.Kind != "Node" {
		errs = append(errs, field.NotSupported(field.NewPath("target", "kind"), b.Target.Kind, []string{"Node", "<empty>"}))
	}
	if b.Target.Name == "" {
		errs = append(errs, field.Required(field.NewPath("target", "name"), ""))
	}
	return errs
}

// refusal is why a binding does not fit the pod's state.
type refusal string

func (r refusal) Error() string { return string(r) }

// stale is how the pod differs from the one that the binding was made for.
type stale string

func (s stale) Error() string { return string(s) }

// assign puts the pod on the node.
func assign(pod *corev1.Pod, b *corev1.Binding) error {
	switch {
	case b.UID != "" && b.UID != pod.UID:
		return stale(fmt.Sprintf("Precondition failed: UID in precondition: %v, UID in object meta: %v", b.UID, pod.UID))
	case b.ResourceVersion != "" && b.ResourceVersion != pod.ResourceVersion:
		return stale(fmt.Sprintf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", b.ResourceVersion, pod.ResourceVersion))
	case pod.DeletionTimestamp != nil:
		return refusal(fmt.Sprintf("pod %s is being deleted, cannot be assigned to a host", pod.Name))
	case pod.Spec.NodeName != "":
		return refusal(fmt.Sprintf("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName))
	case len(pod.Spec.SchedulingGates) > 0:
		return refusal(fmt.Sprintf("pod %v has non-empty .spec.schedulingGates", pod.Name))
	}
	pod.Spec.NodeName = b.Target.Name
	pod.Status.NominatedNodeName = ""
	if pod.Annotations == nil && len(b.Annotations) > 0 {
		pod.Annotations = map[string]string{}
	}
	maps.Copy(pod.Annotations, b.Annotations)
	if pod.Labels == nil && len(b.Labels) > 0 {
		pod.Labels = map[string]string{}
	}
	maps.Copy(pod.Labels, b.Labels)
	setCondition(pod, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	return nil
}

// setCondition sets a pod's condition, with the time of the transition where there is one.
func setCondition(pod *corev1.Pod, cond corev1.PodCondition) {
	cond.LastTransitionTime = metav1.Now()
	for i := range pod.Status.Conditions {
		if have := &pod.Status.Conditions[i]; have.Type == cond.Type {
			if have.Status == cond.Status {
				cond.LastTransitionTime = have.LastTransitionTime
			}
			*have = cond
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, cond)
}

// rewrite is mutate without rules, admission and field management, for changes that the server itself makes.
func (s *Server) rewrite(c *call, r *resource, name string, dryRun bool, f func(api.Object) error) (*state, error) {
	m := *c
	m.res, m.sub = r, nil
	key := r.Key(c.info.Namespace, name)
	fresh := false
	for range maxAttempts {
		cur, err := s.current(c.ctx(), r, key, fresh)
		if err != nil {
			return nil, err
		}
		if cur == nil {
			return nil, apierrors.NewNotFound(r.GroupResource(), name)
		}
		obj := copyOf(cur.obj)
		if err := f(obj); err != nil {
			if fresh {
				return nil, err
			}
			fresh = true
			continue
		}
		w, err := m.store(obj, cur, dryRun)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			fresh = true
			continue
		}
		if err != nil {
			return nil, err
		}
		return &w.state, nil
	}
	return nil, apierrors.NewConflict(r.GroupResource(), name, errors.New(optimisticLock))
}
