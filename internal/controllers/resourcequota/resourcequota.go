// Package resourcequota keeps the status of resource quotas.
//
// Admission adds what is written to a quota at once; what is deleted, ends or shrinks is taken off here, by counting anew.
package resourcequota

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Account is the service account that the controller writes as.
const Account = "resourcequota-controller"

var kind = client.Kind[*corev1.ResourceQuota]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ResourceQuota", Resource: "resourcequotas", Namespaced: true}

// Counting is what the controller must know of the API; the API server's own admission counts by the same rules.
type Counting struct {
	// Used counts in the live objects of q's namespace what q limits.
	Used func(ctx context.Context, q *corev1.ResourceQuota) (corev1.ResourceList, error)
	// Counted names the resources whose objects q counts.
	Counted func(q *corev1.ResourceQuota) []schema.GroupResource
}

// settled is when every write has ended that was charged and not stored yet when a quota was counted anew: such a count
// misses it, so it is checked once more then.
const settled = time.Minute

type controller struct {
	vs     *client.Views
	quotas *client.View[*corev1.ResourceQuota]
	count  Counting
	others *others
}

// New returns the controller.
func New(vs *client.Views, count Counting, log *slog.Logger) control.Controller {
	c := &controller{vs: vs, quotas: client.ViewOf(vs, kind), count: count}
	c.others = &others{vs: vs, log: log, changed: c.of}
	return control.Controller{
		Name: "resourcequota", Workers: 2,
		Sources: []control.Source{
			control.On(c.quotas, func(old, new *corev1.ResourceQuota) []control.Key {
				// A limit in the status that is not the spec's was put there by somebody else.
				if new == nil || old != nil && equality.Semantic.DeepEqual(old.Spec, new.Spec) && equality.Semantic.DeepEqual(new.Status.Hard, new.Spec.Hard) {
					return nil
				}
				return []control.Key{{Namespace: new.Namespace, Name: new.Name}}
			}),
			control.On(client.ViewOf(vs, client.Pods), func(old, new *corev1.Pod) []control.Key {
				if old == nil || new != nil && ended(old) == ended(new) && !resized(old, new) {
					return nil
				}
				return c.of(pods, old.Namespace)
			}),
			control.On(client.ViewOf(vs, client.Services), func(old, new *corev1.Service) []control.Key {
				if old == nil || new != nil && old.Spec.Type == new.Spec.Type && len(old.Spec.Ports) == len(new.Spec.Ports) {
					return nil
				}
				return c.of(services, old.Namespace)
			}),
			c.others.source(),
		},
		Writes:    []string{"resourcequotas/status"},
		Reconcile: c.reconcile,
		Run:       c.others.run,
	}
}

var pods, services = corev1.Resource("pods"), corev1.Resource("services")

// of names the quotas of a namespace that count a resource.
func (c *controller) of(gr schema.GroupResource, namespace string) (keys []control.Key) {
	for _, q := range c.quotas.List(namespace, nil) {
		if slices.Contains(c.count.Counted(q), gr) {
			keys = append(keys, control.Key{Namespace: q.Namespace, Name: q.Name})
		}
	}
	return keys
}

func (c *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	q, ok := c.quotas.Get(k.Namespace, k.Name)
	if !ok || q.DeletionTimestamp != nil {
		return control.Result{}, nil
	}
	for _, gr := range c.count.Counted(q) {
		if gr != pods && gr != services {
			c.others.follow(gr)
		}
	}
	used, err := c.count.Used(ctx, q)
	if err != nil {
		return control.Result{}, err
	}
	want := corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: used}
	if equality.Semantic.DeepEqual(q.Status, want) {
		return control.Result{}, nil
	}
	changed := q.DeepCopy()
	changed.Status = want
	if _, err := client.Of(c.vs.Client(), kind).UpdateStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
		return control.Result{}, fmt.Errorf("update the quota's status: %w", err)
	}
	return control.Result{After: settled}, nil
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// resized says whether a pod may now use less than before.
func resized(old, new *corev1.Pod) bool {
	return old.Generation != new.Generation || !equality.Semantic.DeepEqual(old.Status.ContainerStatuses, new.Status.ContainerStatuses) && hasResources(old)
}

// hasResources: only the resources that a container's status reports can shrink without the spec.
func hasResources(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Resources != nil })
}
