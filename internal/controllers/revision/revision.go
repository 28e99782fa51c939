// Package revision keeps the history of a DaemonSet's or StatefulSet's template as ControllerRevisions.
//
// Both controllers use it: Keep finds or makes the revision of today's template, and drops what the limit no longer
// allows. It holds nothing; it is tested through both.
package revision

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/adoption"
)

// OwnerIndex is the index of revisions by the UID of their controller; orphans are under "".
const OwnerIndex = "controller-uid"

// History is the revisions of owners of one kind.
type History struct {
	View     *client.View[*appsv1.ControllerRevision]
	c        *client.Client
	owner    schema.GroupVersionKind
	mayAdopt adoption.Check
}

// New returns the history of owners of a kind.
func New[T client.Object](vs *client.Views, owners client.Kind[T]) *History {
	h := &History{View: client.ViewOf(vs, client.ControllerRevisions), c: vs.Client(), owner: owners.GVK(), mayAdopt: adoption.Of(vs.Client(), owners)}
	h.View.Index(OwnerIndex, func(r *appsv1.ControllerRevision) []string {
		if ref := metav1.GetControllerOf(r); ref != nil {
			return []string{string(ref.UID)}
		}
		return []string{""}
	})
	return h
}

// Template is the data of a revision: a strategic merge patch that puts the template back, as kubectl rollout undo
// applies it.
func Template(t *corev1.PodTemplateSpec) ([]byte, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(plain, &fields); err != nil {
		return nil, err
	}
	fields["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": fields}})
}

// Of is the owner's history, oldest first. Matching orphans are adopted.
func (h *History) Of(ctx context.Context, owner client.Object, sel labels.Selector) ([]*appsv1.ControllerRevision, error) {
	list := slices.Clone(h.View.ByIndex(OwnerIndex, string(owner.GetUID())))
	if owner.GetDeletionTimestamp() == nil {
		for _, r := range h.View.ByIndex(OwnerIndex, "") {
			if r.Namespace != owner.GetNamespace() || !sel.Matches(labels.Set(r.Labels)) || r.DeletionTimestamp != nil {
				continue
			}
			if err := h.mayAdopt(ctx, owner); err != nil {
				return nil, err
			}
			mine := r.DeepCopy()
			mine.OwnerReferences = append(mine.OwnerReferences, *metav1.NewControllerRef(owner, h.owner))
			got, err := h.write(ctx, mine, client.Of(h.c, client.ControllerRevisions).Update)
			if err != nil {
				return nil, fmt.Errorf("adopt revision %s: %w", r.Name, err)
			}
			list = append(list, got)
		}
	}
	slices.SortFunc(list, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// A Namer gives the hash that a new revision is named and labelled with; it is asked again with other counts of collisions.
type Namer func() (label, hash string)

// Current returns the revision of data: the one of history that has it, with the highest number now, or a new one, with
// labels l. collide is called where a name is another's, before the next is asked for.
func (h *History) Current(ctx context.Context, owner client.Object, history []*appsv1.ControllerRevision, data []byte, l map[string]string, name Namer,
	collide func()) (*appsv1.ControllerRevision, error) {
	next := int64(1)
	if n := len(history); n > 0 {
		next = history[n-1].Revision + 1
	}
	for i := len(history) - 1; i >= 0; i-- {
		r := history[i]
		if !sameJSON(r.Data.Raw, data) {
			continue
		}
		if i == len(history)-1 {
			return r, nil
		}
		again := r.DeepCopy()
		again.Revision = next
		return h.write(ctx, again, client.Of(h.c, client.ControllerRevisions).Update)
	}
	for {
		label, hash := name()
		want := &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: owner.GetNamespace(), Name: Name(owner.GetName(), hash), Labels: withLabel(l, label, hash),
				Annotations: owner.GetAnnotations(), OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, h.owner)}},
			Data: runtime.RawExtension{Raw: data}, Revision: next,
		}
		got, err := h.write(ctx, want, client.Of(h.c, client.ControllerRevisions).Create)
		if !apierrors.IsAlreadyExists(err) {
			return got, err
		}
		have, err := client.Of(h.c, client.ControllerRevisions).Get(ctx, want.Namespace, want.Name)
		if err != nil {
			return nil, err
		}
		if metav1.IsControlledBy(have, owner) && sameJSON(have.Data.Raw, data) {
			return have, h.View.WaitFor(ctx, have.ResourceVersion)
		}
		collide()
	}
}

type writer func(context.Context, *appsv1.ControllerRevision, ...string) (*appsv1.ControllerRevision, error)

func (h *History) write(ctx context.Context, r *appsv1.ControllerRevision, how writer) (*appsv1.ControllerRevision, error) {
	got, err := how(ctx, r)
	if err != nil {
		return nil, err
	}
	return got, h.View.WaitFor(ctx, got.ResourceVersion)
}

// Trim removes the oldest revisions beyond limit that inUse does not name.
func (h *History) Trim(ctx context.Context, history []*appsv1.ControllerRevision, limit int, inUse func(name string) bool) error {
	var idle []*appsv1.ControllerRevision
	for _, r := range history {
		if !inUse(r.Name) {
			idle = append(idle, r)
		}
	}
	for _, r := range idle[:max(len(idle)-limit, 0)] {
		err := client.Of(h.c, client.ControllerRevisions).Delete(ctx, r.Namespace, r.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &r.UID}})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("remove revision %s: %w", r.Name, err)
		}
	}
	return nil
}

// Name is that of an owner's revision.
func Name(owner, hash string) string {
	const most = 253 - 30 // a hash is ten letters at most, and upstream leaves so much for it
	return owner[:min(len(owner), most)] + "-" + hash
}

func withLabel(l map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for k, v := range l {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// sameJSON compares what two documents say.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, err1 := json.Marshal(x) // sorts the keys
	q, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// Spec is the template that a revision holds.
func Spec(r *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var d struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Data.Raw, &d); err != nil {
		return nil, err
	}
	if d.Spec.Template == nil {
		return nil, fmt.Errorf("it holds no template")
	}
	return d.Spec.Template, nil
}
