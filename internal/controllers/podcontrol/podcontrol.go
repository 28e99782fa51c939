// Package podcontrol is what several controllers do to pods: adopt and release them, make them and take them away, with
// upstream's events.
//
// A Control is safe for concurrent use. What it writes it awaits in the view of pods, so that the next reconcile of the
// same key never acts on what was before. It is tested through the controllers that use it.
package podcontrol

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/adoption"
	"minato.dev/minato/internal/controllers/pods"
	"minato.dev/minato/internal/run"
)

// Control acts for the controllers of one kind of owner.
type Control struct {
	Pods *client.View[*corev1.Pod]
	// Finalizer, where it is set, is on every pod of an owner: put on with the adoption, taken off with the release.
	Finalizer string

	c        *client.Client
	owner    schema.GroupVersionKind
	mayAdopt adoption.Check
	events   *client.Recorder
}

// New returns a Control for owners of a kind.
func New[T client.Object](vs *client.Views, events *client.Recorder, owners client.Kind[T]) *Control {
	c := &Control{Pods: client.ViewOf(vs, client.Pods), c: vs.Client(), owner: owners.GVK(), mayAdopt: adoption.Of(vs.Client(), owners), events: events}
	pods.IndexByOwner(c.Pods)
	return c
}

// Owners names the owners that a change of a pod concerns: those before and after it, by name, and, for an orphan, those that
// match finds by the pod's labels.
func (c *Control) Owners(old, new *corev1.Pod, match func(namespace string, l labels.Set) []string) (namespace string, names []string) {
	for _, p := range []*corev1.Pod{old, new} {
		if p == nil {
			continue
		}
		namespace = p.Namespace
		if ref := metav1.GetControllerOf(p); ref == nil {
			names = append(names, match(p.Namespace, p.Labels)...)
		} else if ref.Kind == c.owner.Kind {
			names = append(names, ref.Name)
		}
	}
	return namespace, names
}

// Claim returns the pods that owner controls. It adopts orphans that match and that may, and releases its own that no
// longer match; an owner that is about to go does neither. The error is a Conflict where its view has not told it yet.
func (c *Control) Claim(ctx context.Context, owner client.Object, sel labels.Selector, may func(*corev1.Pod) bool) ([]*corev1.Pod, error) {
	var out []*corev1.Pod
	for _, p := range c.Pods.ByIndex(pods.OwnerIndex, string(owner.GetUID())) {
		if p.Namespace != owner.GetNamespace() {
			continue
		}
		if sel.Matches(labels.Set(p.Labels)) && may(p) {
			out = append(out, p)
			continue
		}
		if owner.GetDeletionTimestamp() == nil && p.DeletionTimestamp == nil {
			if err := c.release(ctx, owner, p); err != nil {
				return nil, err
			}
		}
	}
	if owner.GetDeletionTimestamp() != nil {
		return out, nil
	}
	orphans := slices.DeleteFunc(c.Pods.ByIndex(pods.OwnerIndex, ""), func(p *corev1.Pod) bool {
		return p.Namespace != owner.GetNamespace() || !pods.Active(p) || !sel.Matches(labels.Set(p.Labels)) || !may(p)
	})
	if len(orphans) > 0 {
		if err := c.mayAdopt(ctx, owner); err != nil {
			return nil, err
		}
	}
	for _, p := range orphans {
		adopted, err := c.adopt(ctx, owner, p)
		if err != nil {
			return nil, err
		}
		if adopted != nil {
			out = append(out, adopted)
		}
	}
	return out, nil
}

// All is the may of an owner that takes any pod that its selector matches.
func All(*corev1.Pod) bool { return true }

func (c *Control) adopt(ctx context.Context, owner client.Object, p *corev1.Pod) (*corev1.Pod, error) {
	meta := map[string]any{"uid": p.UID, "ownerReferences": []any{metav1.NewControllerRef(owner, c.owner)}}
	if c.Finalizer != "" {
		meta["finalizers"] = []string{c.Finalizer}
	}
	patch, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return nil, err
	}
	return c.patch(ctx, p, patch, "adopt")
}

func (c *Control) release(ctx context.Context, owner client.Object, p *corev1.Pod) error {
	meta := map[string]any{"uid": p.UID, "ownerReferences": []any{map[string]any{"$patch": "delete", "uid": owner.GetUID()}}}
	if c.Finalizer != "" {
		meta["$deleteFromPrimitiveList/finalizers"] = []string{c.Finalizer}
	}
	patch, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return err
	}
	_, err = c.patch(ctx, p, patch, "release")
	return err
}

// patch returns nil where the pod is gone.
func (c *Control) patch(ctx context.Context, p *corev1.Pod, patch []byte, what string) (*corev1.Pod, error) {
	got, err := client.Of(c.c, client.Pods).Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, patch)
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) && what == "release" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s pod %s: %w", what, p.Name, err)
	}
	return got, c.Pods.WaitFor(ctx, got.ResourceVersion)
}

// Create makes pods in rounds of 1, 2, 4 ..., so that a refusal (quota, admission) costs one request and not all, and
// returns once the view has them.
func (c *Control) Create(ctx context.Context, owner client.Object, list []*corev1.Pod) error {
	var newest latest
	defer func() { newest.await(ctx, c.Pods) }()
	for batch := 1; len(list) > 0; batch *= 2 {
		batch = min(batch, len(list), 500)
		err := Each(ctx, batch, func(ctx context.Context, i int) error {
			p, err := client.Of(c.c, client.Pods).Create(ctx, list[i])
			if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil // the owner itself is about to go
			}
			if err != nil {
				c.events.Event(owner, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
				return fmt.Errorf("create pod: %w", err)
			}
			newest.saw(p.ResourceVersion)
			c.events.Event(owner, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", p.Name)
			return nil
		})
		if err != nil {
			return err
		}
		list = list[batch:]
	}
	return nil
}

// Delete takes pods away; one that is gone or another's by now is none of ours.
func (c *Control) Delete(ctx context.Context, owner client.Object, list []*corev1.Pod) error {
	return Each(ctx, len(list), func(ctx context.Context, i int) error {
		p := list[i]
		err := client.Of(c.c, client.Pods).Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		if err != nil {
			c.events.Event(owner, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
			return fmt.Errorf("delete pod %s: %w", p.Name, err)
		}
		c.events.Event(owner, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", p.Name)
		return nil
	})
}

// FromTemplate makes a pod of a template, controlled by owner.
func (c *Control) FromTemplate(owner client.Object, t *corev1.PodTemplateSpec) *corev1.Pod {
	t = t.DeepCopy()
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.GetNamespace(), GenerateName: owner.GetName() + "-", Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, c.owner)},
		},
		Spec: t.Spec,
	}
}

// Each runs f for 0 to n-1 at once, at most 16 at a time.
func Each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	slots := make(chan struct{}, 16)
	return run.With(ctx, func(s *run.Scope) error {
		for i := range n {
			slots <- struct{}{}
			s.Go("pod", func(ctx context.Context) error {
				defer func() { <-slots }()
				return f(ctx, i)
			})
		}
		return nil
	})
}

// latest keeps the newest resource version of several writes.
type latest struct {
	mu      sync.Mutex
	version string
	number  uint64
}

func (l *latest) saw(version string) {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > l.number {
		l.version, l.number = version, n
	}
}

func (l *latest) await(ctx context.Context, v *client.View[*corev1.Pod]) {
	if l.version != "" {
		_ = v.WaitFor(ctx, l.version) // fails only when ctx ends, which the caller sees itself
	}
}
