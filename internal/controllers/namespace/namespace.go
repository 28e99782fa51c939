// Package namespace empties a namespace that is being deleted and then lets it go.
//
//	deleted -> Terminating: its pods are deleted, and waited for: until the last is gone nothing else is touched, so that
//	           no pod outlives its policies, quotas and secrets
//	        -> everything else in it is deleted, kind by kind
//	        -> what has finalizers or runs out its grace period is waited for (a change of a pod looks again at once)
//	        -> empty: the finalizer "kubernetes" is taken off, and the namespace is gone
//
// Conditions on the way say what is left and why, with upstream's types and reasons.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

type controller struct {
	c          *client.Client
	namespaces *client.View[*corev1.Namespace]
	log        *slog.Logger
}

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
	n := &controller{c: vs.Client(), namespaces: client.ViewOf(vs, client.Namespaces), log: log}
	return control.Controller{
		Name: "namespace", Workers: 4,
		Sources: []control.Source{control.Self(n.namespaces), control.On(client.ViewOf(vs, client.Pods), func(old, new *corev1.Pod) []control.Key {
			if new == nil && old.DeletionTimestamp != nil {
				return []control.Key{{Name: old.Namespace}}
			}
			return nil
		})},
		Writes:    []string{"namespaces/status", "namespaces/finalize"},
		Reconcile: n.reconcile,
	}
}

func (n *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	ns, ok := n.namespaces.Get("", k.Name)
	if !ok || ns.DeletionTimestamp == nil || !held(ns) {
		return control.Result{}, nil
	}
	if ns.Status.Phase != corev1.NamespaceTerminating {
		changed := ns.DeepCopy()
		changed.Status.Phase = corev1.NamespaceTerminating
		_, err := client.Of(n.c, client.Namespaces).UpdateStatus(ctx, changed)
		return control.Result{}, ignoreGone(err)
	}
	left := n.empty(ctx, ns.Name)
	if left.none() {
		return control.Result{}, n.finalize(ctx, ns)
	}
	if err := n.report(ctx, ns, left); err != nil {
		return control.Result{}, err
	}
	return control.Result{After: left.pause(time.Since(ns.DeletionTimestamp.Time))}, nil
}

func held(ns *corev1.Namespace) bool {
	for _, f := range ns.Spec.Finalizers {
		if f == corev1.FinalizerKubernetes {
			return true
		}
	}
	return false
}

// empty deletes everything in the namespace, the pods before all else, and returns what is still there.
func (n *controller) empty(ctx context.Context, ns string) (left remaining) {
	all, failed, err := client.Discover(ctx, n.c)
	if err != nil {
		left.discovery = err
		return left
	}
	if len(failed) > 0 {
		left.discovery = fmt.Errorf("no answer for %v", failed)
	}
	sort.SliceStable(all, func(i, j int) bool { return isPods(all[i]) && !isPods(all[j]) })
	for _, r := range all {
		if !r.Namespaced || !r.Can("delete", "list") {
			continue
		}
		n.emptyOne(ctx, ns, r, &left)
		if isPods(r) && (left.objects > 0 || left.content != nil) {
			return left
		}
	}
	return left
}

func isPods(r client.Served) bool { return r.GVR.Resource == "pods" && r.GVR.Group == "" }

func (n *controller) emptyOne(ctx context.Context, ns string, r client.Served, left *remaining) {
	door := client.Of(n.c, client.MetadataKind(r.GVR, r.Kind, true))
	items, _, err := door.List(ctx, ns, metav1.ListOptions{})
	if err != nil {
		left.content = errors.Join(left.content, err)
		return
	}
	if len(items) == 0 {
		return
	}
	background := metav1.DeletePropagationBackground
	o := metav1.DeleteOptions{PropagationPolicy: &background}
	if r.Can("deletecollection") {
		err = door.DeleteAll(ctx, ns, o, metav1.ListOptions{})
	} else {
		for _, it := range items {
			err = errors.Join(err, ignoreGone(door.Delete(ctx, ns, it.Name, o)))
		}
	}
	if err != nil {
		left.content = errors.Join(left.content, fmt.Errorf("delete %s: %w", r.GVR.GroupResource(), err))
		return
	}
	if items, _, err = door.List(ctx, ns, metav1.ListOptions{}); err != nil {
		left.content = errors.Join(left.content, err)
		return
	}
	left.add(r, items)
}

// finalize lets the empty namespace go.
func (n *controller) finalize(ctx context.Context, ns *corev1.Namespace) error {
	changed := ns.DeepCopy()
	changed.Spec.Finalizers = nil
	for _, f := range ns.Spec.Finalizers {
		if f != corev1.FinalizerKubernetes {
			changed.Spec.Finalizers = append(changed.Spec.Finalizers, f)
		}
	}
	_, err := client.Of(n.c, client.Namespaces).Update(ctx, changed, "finalize")
	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// remaining is what an emptied namespace still holds.
type remaining struct {
	discovery  error
	content    error
	counts     []string // "pods. has 2 resource instances"
	finalizers map[string]int
	objects    int
}

func (l *remaining) none() bool { return l.discovery == nil && l.content == nil && l.objects == 0 }

func (l *remaining) add(r client.Served, items []*metav1.PartialObjectMetadata) {
	if len(items) == 0 {
		return
	}
	l.objects += len(items)
	l.counts = append(l.counts, fmt.Sprintf("%s.%s has %d resource instances", r.GVR.Resource, r.GVR.Group, len(items)))
	if l.finalizers == nil {
		l.finalizers = map[string]int{}
	}
	for _, it := range items {
		for _, f := range it.Finalizers {
			l.finalizers[f]++
		}
	}
}

// pause is when to look again without a change of a pod. It grows with the age of the deletion, so that a namespace
// that is stuck on a finalizer costs little.
func (l *remaining) pause(age time.Duration) time.Duration {
	return min(max(age/4, 50*time.Millisecond), 15*time.Second)
}

// report writes the conditions where they differ.
func (n *controller) report(ctx context.Context, ns *corev1.Namespace, left remaining) error {
	changed := ns.DeepCopy()
	set := func(t corev1.NamespaceConditionType, bad bool, badReason, badMessage, goodReason, goodMessage string) {
		c := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: goodReason, Message: goodMessage}
		if bad {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, badReason, badMessage
		}
		setCondition(&changed.Status, c)
	}
	sort.Strings(left.counts)
	var finalizers []string
	for f, count := range left.finalizers {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", f, count))
	}
	sort.Strings(finalizers)
	set(corev1.NamespaceDeletionDiscoveryFailure, left.discovery != nil, "DiscoveryFailed", fmt.Sprintf("Discovery failed for some groups: %v", left.discovery),
		"ResourcesDiscovered", "All resources successfully discovered")
	set(corev1.NamespaceDeletionGVParsingFailure, false, "", "", "ParsedGroupVersions", "All legacy kube types successfully parsed")
	set(corev1.NamespaceDeletionContentFailure, left.content != nil, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %v", left.content),
		"ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	set(corev1.NamespaceContentRemaining, left.objects > 0, "SomeResourcesRemain", "Some resources are remaining: "+strings.Join(left.counts, ", "),
		"ContentRemoved", "All content successfully removed")
	set(corev1.NamespaceFinalizersRemaining, len(finalizers) > 0, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+strings.Join(finalizers, ", "),
		"ContentHasNoFinalizers", "All content-preserving finalizers finished")
	if fmt.Sprint(changed.Status) == fmt.Sprint(ns.Status) {
		return nil
	}
	_, err := client.Of(n.c, client.Namespaces).UpdateStatus(ctx, changed)
	return ignoreGone(err)
}

func setCondition(st *corev1.NamespaceStatus, c corev1.NamespaceCondition) {
	c.LastTransitionTime = metav1.Now()
	for i := range st.Conditions {
		had := &st.Conditions[i]
		if had.Type != c.Type {
			continue
		}
		if had.Status == c.Status {
			c.LastTransitionTime = had.LastTransitionTime
		}
		*had = c
		return
	}
	st.Conditions = append(st.Conditions, c)
}
