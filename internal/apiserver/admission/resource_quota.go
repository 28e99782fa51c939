package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var quotas = corev1.Resource("resourcequotas")

// How often a charge is tried again when another one came in between.
const quotaRetries = 10

// resourceQuota charges what is written to the quotas of its namespace. The charge is a conditional write of the quota's
// status, so that two requests never share the last place.
var resourceQuota = plugin{
	name: "ResourceQuota",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		switch {
		case op == Create && sub == "":
			return gr != quotas && gr != namespaces
		case op == Update && sub == "":
			return gr == claims || gr == corev1.Resource("services") || gr == pods
		}
		return op == Update && sub == "resize" && gr == pods
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		if a.Namespace == "" || a.Object == nil {
			return nil
		}
		all, err := list[*corev1.ResourceQuota](ctx, c.Objects, quotas, a.Namespace)
		if err != nil {
			return a.forbidden(err)
		}
		for _, q := range all {
			if err := charge(ctx, c, a, q); err != nil {
				return err
			}
		}
		return nil
	},
}

// charge adds the write's usage to q, or refuses the write.
func charge(ctx context.Context, c *Config, a *Attributes, q *corev1.ResourceQuota) error {
	for range quotaRetries {
		changed, err := charged(ctx, c, a, q)
		if err != nil || changed == nil || a.DryRun || c.WriteQuotaStatus == nil {
			return err
		}
		_, err = c.WriteQuotaStatus(ctx, changed)
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return a.forbidden(err)
		}
		if q, err = read[*corev1.ResourceQuota](ctx, c.Objects, quotas, q.Namespace, q.Name); err != nil {
			if apierrors.IsNotFound(err) {
				return nil
			}
			return a.forbidden(err)
		}
	}
	return apierrors.NewConflict(quotas, q.Name, errQuotaBusy)
}

// charged is q with the write's usage added; nil where the write uses nothing of it.
func charged(ctx context.Context, c *Config, a *Attributes, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	gr := a.Resource.GroupResource()
	if !inScope(q, a.Object) {
		return nil, nil
	}
	if err := mustSpecify(gr, q, a.Object); err != nil {
		return nil, a.forbid("failed quota: %s: %w", q.Name, err)
	}
	delta := only(usage(gr, a.Object), q.Spec.Hard)
	if a.Operation == Update && a.OldObject != nil && inScope(q, a.OldObject) {
		delta = increase(delta, only(usage(gr, a.OldObject), q.Spec.Hard))
	}
	if delta = nonZero(delta); len(delta) == 0 {
		return nil, nil
	}
	if bad := negative(delta); len(bad) > 0 {
		return nil, a.forbid("quota usage is negative for resource(s): %s", strings.Join(bad, ","))
	}
	next := q.DeepCopy()
	if !counted(q) {
		if err := recount(ctx, c.Objects, next); err != nil {
			return nil, a.forbidden(err)
		}
	}
	// Counting anew here would forget what others have charged and not stored yet; the controller does it after deletions.
	if over := exceeded(next, delta); len(over) > 0 {
		return nil, a.forbid("exceeded quota: %s, requested: %s, used: %s, limited: %s", q.Name, show(delta, over), show(next.Status.Used, over), show(next.Status.Hard, over))
	}
	for name, n := range delta {
		sum := next.Status.Used[name].DeepCopy()
		sum.Add(n)
		next.Status.Used[name] = sum
	}
	return next, nil
}

// counted says whether q's status belongs to its present spec.
func counted(q *corev1.ResourceQuota) bool {
	if !equality.Semantic.DeepEqual(q.Spec.Hard, q.Status.Hard) {
		return false
	}
	for name := range q.Spec.Hard {
		if _, ok := q.Status.Used[name]; !ok {
			return false
		}
	}
	return true
}

func recount(ctx context.Context, o Objects, q *corev1.ResourceQuota) error {
	used, err := QuotaUsage(ctx, o, q)
	if err != nil {
		return err
	}
	q.Status.Hard, q.Status.Used = q.Spec.Hard.DeepCopy(), used
	return nil
}

// exceeded names what would be over its limit with delta added, sorted.
func exceeded(q *corev1.ResourceQuota, delta corev1.ResourceList) (names []corev1.ResourceName) {
	for name, n := range delta {
		sum := q.Status.Used[name].DeepCopy()
		sum.Add(n)
		if hard, ok := q.Status.Hard[name]; ok && sum.Cmp(hard) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func show(l corev1.ResourceList, names []corev1.ResourceName) string {
	parts := make([]string, len(names))
	for i, n := range names {
		v := l[n]
		parts[i] = fmt.Sprintf("%s=%s", n, v.String())
	}
	return strings.Join(parts, ",")
}

// only keeps of l what is named in hard.
func only(l, hard corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, v := range l {
		if _, ok := hard[name]; ok {
			out[name] = v
		}
	}
	return out
}

// increase is how much more now is than before; what shrank counts nothing.
func increase(now, before corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, v := range now {
		d := v.DeepCopy()
		if was, ok := before[name]; ok {
			d.Sub(was)
		}
		if d.Sign() > 0 {
			out[name] = d
		}
	}
	return out
}

func nonZero(l corev1.ResourceList) corev1.ResourceList {
	out := maps.Clone(l)
	for name, v := range l {
		if v.IsZero() {
			delete(out, name)
		}
	}
	return out
}

func negative(l corev1.ResourceList) (names []string) {
	for name, v := range l {
		if v.Sign() < 0 {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

// QuotaUsage counts, in the live objects of q's namespace, what q limits. The controller that keeps the status of quotas calls it
// after something was deleted or has ended.
func QuotaUsage(ctx context.Context, o Objects, q *corev1.ResourceQuota) (corev1.ResourceList, error) {
	used := corev1.ResourceList{}
	seen := map[schema.GroupResource]bool{}
	for name := range q.Spec.Hard {
		used[name] = zero(name)
		if gr, ok := resourceOf(name); ok {
			seen[gr] = true
		}
	}
	for gr := range seen {
		objs, err := o.List(ctx, gr, q.Namespace)
		if err != nil {
			return nil, fmt.Errorf("quota %s/%s: count %s: %w", q.Namespace, q.Name, gr, err)
		}
		for _, obj := range objs {
			add(used, gr, obj, q)
		}
	}
	return used, nil
}

func add(used corev1.ResourceList, gr schema.GroupResource, obj runtime.Object, q *corev1.ResourceQuota) {
	if !inScope(q, obj) {
		return
	}
	for name, n := range only(usage(gr, obj), q.Spec.Hard) {
		sum := used[name].DeepCopy()
		sum.Add(n)
		used[name] = sum
	}
}
