package deployment

import (
	"maps"
	"sort"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/controllers/podtemplate"
)

// Upstream's annotations on ReplicaSets and Deployments.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
	lastApplied        = "kubectl.kubernetes.io/last-applied-configuration"
)

// plan is one round of changes for one Deployment.
type plan struct {
	create    *appsv1.ReplicaSet                        // the ReplicaSet of a template that has none
	update    map[*appsv1.ReplicaSet]*appsv1.ReplicaSet // ReplicaSets to write, with replicas and annotations set
	remove    []*appsv1.ReplicaSet                      // beyond the revision history
	revision  string                                    // to note on the Deployment
	status    appsv1.DeploymentStatus
	lookAgain time.Duration // the progress deadline
}

// round is what makePlan works on.
type round struct {
	dep      *appsv1.Deployment
	current  *appsv1.ReplicaSet   // of today's template, or nil
	old      []*appsv1.ReplicaSet // by age, oldest first
	podsLeft func(*appsv1.ReplicaSet) int
	now      time.Time
	plan     plan
}

// makePlan is pure; podsLeft counts the pods of a ReplicaSet that may still run something.
func makePlan(dep *appsv1.Deployment, sets []*appsv1.ReplicaSet, podsLeft func(*appsv1.ReplicaSet) int, now time.Time) plan {
	r := &round{dep: dep, podsLeft: podsLeft, now: now, plan: plan{update: map[*appsv1.ReplicaSet]*appsv1.ReplicaSet{}}}
	r.sort(sets)
	if dep.DeletionTimestamp == nil {
		r.change()
	}
	r.plan.status, r.plan.lookAgain = r.status()
	return r.plan
}

func (r *round) change() {
	if r.current != nil {
		r.renumber()
	}
	switch {
	case r.dep.Spec.Paused || r.scaled():
		r.scaleProportionally()
	case r.dep.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		r.recreate()
	default:
		r.roll()
	}
	if !r.dep.Spec.Paused {
		r.cleanUp()
	}
}

// sort finds today's ReplicaSet, the oldest whose template is the Deployment's, and orders the others by age.
func (r *round) sort(sets []*appsv1.ReplicaSet) {
	sets = append([]*appsv1.ReplicaSet(nil), sets...)
	sort.Slice(sets, func(i, j int) bool {
		a, b := sets[i], sets[j]
		if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return a.Name < b.Name
		}
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	})
	for _, rs := range sets {
		if r.current == nil && rs.DeletionTimestamp == nil && sameTemplate(rs, r.dep) {
			r.current = rs
		} else {
			r.old = append(r.old, rs)
		}
	}
}

func sameTemplate(rs *appsv1.ReplicaSet, dep *appsv1.Deployment) bool {
	a, b := rs.Spec.Template.DeepCopy(), dep.Spec.Template.DeepCopy()
	delete(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return equality.Semantic.DeepEqual(a, b)
}

// edit returns the copy of rs that the plan writes.
func (r *round) edit(rs *appsv1.ReplicaSet) *appsv1.ReplicaSet {
	if c := r.plan.update[rs]; c != nil {
		return c
	}
	c := rs.DeepCopy()
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	r.plan.update[rs] = c
	return c
}

func (r *round) replicas(rs *appsv1.ReplicaSet) int32 {
	if c := r.plan.update[rs]; c != nil {
		return *c.Spec.Replicas
	}
	return *rs.Spec.Replicas
}

// scale sets the replicas of rs, and what the Deployment asked for when it did.
func (r *round) scale(rs *appsv1.ReplicaSet, n int32) {
	c := r.edit(rs)
	c.Spec.Replicas = &n
	c.Annotations[desiredAnnotation] = itoa(*r.dep.Spec.Replicas)
	c.Annotations[maxAnnotation] = itoa(*r.dep.Spec.Replicas + maxSurge(r.dep))
	if equality.Semantic.DeepEqual(c, rs) {
		delete(r.plan.update, rs)
	}
}

func revision(o metav1.Object) int64 {
	n, _ := strconv.ParseInt(o.GetAnnotations()[revisionAnnotation], 10, 64) // a missing or broken number counts as 0
	return n
}

// renumber gives today's ReplicaSet the highest revision, as after a rollback, and copies the Deployment's annotations.
func (r *round) renumber() {
	next := r.nextRevision()
	c := r.edit(r.current)
	for k, v := range r.dep.Annotations {
		if copied(k) {
			c.Annotations[k] = v
		}
	}
	if had := revision(r.current); had < next {
		if had > 0 {
			history := c.Annotations[historyAnnotation]
			if history != "" {
				history += ","
			}
			c.Annotations[historyAnnotation] = history + strconv.FormatInt(had, 10)
		}
		c.Annotations[revisionAnnotation] = strconv.FormatInt(next, 10)
	}
	c.Spec.MinReadySeconds = r.dep.Spec.MinReadySeconds
	r.plan.revision = c.Annotations[revisionAnnotation]
	if equality.Semantic.DeepEqual(c, r.current) {
		delete(r.plan.update, r.current)
	}
}

// nextRevision is one more than any old ReplicaSet has.
func (r *round) nextRevision() int64 {
	most := int64(0)
	for _, rs := range r.old {
		most = max(most, revision(rs))
	}
	return most + 1
}

func copied(key string) bool {
	switch key {
	case lastApplied, revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation, appsv1.DeprecatedRollbackTo:
		return false
	}
	return true
}

// template is the ReplicaSet for today's template, still without replicas.
func (r *round) template() *appsv1.ReplicaSet {
	t := *r.dep.Spec.Template.DeepCopy()
	hash := podtemplate.Hash(&t, r.dep.Status.CollisionCount)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	sel := r.dep.Spec.Selector.DeepCopy()
	if sel.MatchLabels == nil {
		sel.MatchLabels = map[string]string{}
	}
	sel.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	annotations := maps.Clone(r.dep.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.DeleteFunc(annotations, func(k, _ string) bool { return !copied(k) })
	annotations[revisionAnnotation] = strconv.FormatInt(r.nextRevision(), 10)
	zero := int32(0)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.dep.Namespace, Name: r.dep.Name + "-" + hash, Labels: t.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r.dep, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
		Spec: appsv1.ReplicaSetSpec{Replicas: &zero, MinReadySeconds: r.dep.Spec.MinReadySeconds, Selector: sel, Template: t},
	}
}

// newCurrent plans the creation of today's ReplicaSet with n replicas.
func (r *round) newCurrent(n int32) {
	rs := r.template()
	rs.Spec.Replicas = &n
	rs.Annotations[desiredAnnotation] = itoa(*r.dep.Spec.Replicas)
	rs.Annotations[maxAnnotation] = itoa(*r.dep.Spec.Replicas + maxSurge(r.dep))
	r.plan.create = rs
	r.plan.revision = rs.Annotations[revisionAnnotation]
}

// cleanUp removes the oldest idle ReplicaSets beyond the revision history, once the rollout is complete.
func (r *round) cleanUp() {
	if r.dep.Spec.RevisionHistoryLimit == nil || r.current == nil || !complete(r.dep, r.dep.Status) {
		return
	}
	surplus := len(r.old) - int(*r.dep.Spec.RevisionHistoryLimit)
	sort.SliceStable(r.old, func(i, j int) bool { return revision(r.old[i]) < revision(r.old[j]) })
	for _, rs := range r.old {
		if surplus <= 0 {
			return
		}
		surplus--
		if r.replicas(rs) == 0 && rs.Status.Replicas == 0 && rs.Generation <= rs.Status.ObservedGeneration && rs.DeletionTimestamp == nil {
			r.plan.remove = append(r.plan.remove, rs)
		}
	}
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
