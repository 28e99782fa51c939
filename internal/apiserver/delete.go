package apiserver

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/store"
)

// delete removes an object: at once, or by a deletionTimestamp where its owner on the node or its finalizers come first.
func (c *call) delete() error {
	o, err := c.deleteOptions()
	if err != nil {
		return err
	}
	if ignoresReadErrors(o) {
		return c.deleteUnreadable(o)
	}
	c.warnOrphans(o)
	w, err := c.deleteObject(o)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if !w.deleted && o.OrphanDependents != nil && !*o.OrphanDependents {
		code = http.StatusAccepted
	}
	if w.deleted && !c.returnsDeleted() {
		m := w.obj
		return c.reply(code, &metav1.Status{Status: metav1.StatusSuccess, Code: 0, Details: &metav1.StatusDetails{Name: m.GetName(),
			Group: c.res.GroupVersion.Group, Kind: c.res.Name, UID: m.GetUID()}}, statusKind)
	}
	return c.answerState(code, &w.state)
}

// warnOrphans tells who deletes a Job without a word on its pods that they stay.
func (c *call) warnOrphans(o *metav1.DeleteOptions) {
	if s := c.res.Strategy; s != nil && s.Orphaning == api.OrphanDependents && c.res.Kind == "Job" && o.PropagationPolicy == nil && o.OrphanDependents == nil {
		c.warn.add("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or " +
			"set propagationPolicy=Orphan to suppress this warning")
	}
}

// returnsDeleted says whether a finished deletion answers with the object, as upstream does for a few kinds.
func (c *call) returnsDeleted() bool {
	switch c.res.GroupResource().String() {
	case "namespaces", "persistentvolumes", "persistentvolumeclaims", "pods", "podtemplates", "resourcequotas", "services", "serviceaccounts",
		"deviceclasses.resource.k8s.io", "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io", "resourceslices.resource.k8s.io",
		"csidrivers.storage.k8s.io", "csinodes.storage.k8s.io", "storageclasses.storage.k8s.io", "volumeattachments.storage.k8s.io",
		"volumeattributesclasses.storage.k8s.io":
		return true
	}
	return false
}

// deleteObject deletes the object in the URL as the options say. deleted is false where it only has been marked.
func (c *call) deleteObject(o *metav1.DeleteOptions) (*written, error) {
	return c.settle(func(cur *state) (*written, error) {
		if cur == nil {
			return nil, apierrors.NewNotFound(c.gr(), c.info.Name)
		}
		return c.deleteState(cur, o.DeepCopy())
	})
}

// deleteState is one round of deleteObject on the state cur.
func (c *call) deleteState(cur *state, o *metav1.DeleteOptions) (*written, error) {
	dryRun := isDryRun(o.DryRun)
	obj := copyOf(cur.obj)
	if c.gr() == namespacesResource {
		if err := namespaceMeets(obj, o.Preconditions); err != nil {
			return nil, err
		}
	}
	q := c.request()
	graceful, pending, err := c.res.BeforeDelete(q, obj, o)
	if err != nil {
		return nil, err
	}
	if pending {
		return &written{state: *cur}, nil
	}
	a := c.attributes(admission.Delete, nil, cur.obj, o, dryRun)
	a.Name = cur.obj.GetName()
	if err := c.admit(a); err != nil {
		return nil, err
	}
	if err := c.vet(a); err != nil {
		return nil, err
	}
	obj.SetFinalizers(c.finalizersFor(obj, o))
	if c.gr() == namespacesResource {
		if !c.terminateNamespace(obj) {
			return c.store(obj, cur, dryRun)
		}
		return c.remove(obj, cur, dryRun)
	}
	if !graceful && len(obj.GetFinalizers()) > 0 {
		markDeleting(obj, q.Now)
		return c.store(obj, cur, dryRun)
	}
	if graceful && *o.GracePeriodSeconds > 0 {
		return c.store(obj, cur, dryRun)
	}
	if graceful && len(obj.GetFinalizers()) > 0 {
		return c.store(obj, cur, dryRun)
	}
	if graceful {
		return c.removeMarked(obj, cur, dryRun)
	}
	return c.remove(obj, cur, dryRun)
}

// removeMarked shows watchers the deletionTimestamp of an object that knows graceful deletion, then removes it. Once it is
// marked nothing holds it: whoever wrote in between, or was faster to remove it, changes nothing.
func (c *call) removeMarked(obj api.Object, cur *state, dryRun bool) (*written, error) {
	w, err := c.store(obj, cur, dryRun)
	if err != nil {
		return nil, err
	}
	for range maxAttempts {
		gone, err := c.remove(w.obj, &w.state, dryRun)
		var conflict *store.ConflictError
		switch {
		case errors.Is(err, store.ErrNotFound), errors.As(err, &conflict) && !conflict.Found:
			w.deleted = true
			return w, nil
		case errors.As(err, &conflict):
			next, err := c.res.state(conflict.Current.Value, conflict.Current.ModRevision)
			if err != nil {
				return nil, err
			}
			if next.obj.GetUID() != obj.GetUID() {
				w.deleted = true
				return w, nil
			}
			w = &written{state: *next}
		default:
			return gone, err
		}
	}
	return nil, apierrors.NewConflict(c.gr(), c.info.Name, errors.New(optimisticLock))
}

// remove takes the object out of the store and gives its addresses back. What it returns shows the deletion's revision.
func (c *call) remove(obj api.Object, cur *state, dryRun bool) (*written, error) {
	w := &written{state: *cur, deleted: true}
	if !dryRun {
		began := time.Now()
		rev, err := c.s.store.Delete(c.ctx(), c.res.Key(obj.GetNamespace(), obj.GetName()), cur.revision)
		c.s.wrote("delete", c.res, began, err)
		if err != nil {
			return nil, err
		}
		c.s.addresses.release(c.ctx(), cur.obj)
		w.revision = rev
		w.obj.SetResourceVersion(strconv.FormatInt(rev, 10))
	}
	return w, nil
}

// markDeleting sets the deletionTimestamp of an object that only waits for its finalizers.
func markDeleting(obj metav1.Object, now metav1.Time) {
	if obj.GetDeletionTimestamp() == nil && obj.GetGeneration() > 0 {
		obj.SetGeneration(obj.GetGeneration() + 1)
	}
	if t := obj.GetDeletionTimestamp(); t == nil || t.After(now.Time) {
		now = metav1.NewTime(now.Truncate(time.Second))
		obj.SetDeletionTimestamp(&now)
	}
	zero := int64(0)
	obj.SetDeletionGracePeriodSeconds(&zero)
}

// finalizersFor adds or removes the garbage collector's finalizers as options, object and kind ask for.
func (c *call) finalizersFor(obj metav1.Object, o *metav1.DeleteOptions) []string {
	var kept []string
	for _, f := range obj.GetFinalizers() {
		if f != metav1.FinalizerOrphanDependents && f != metav1.FinalizerDeleteDependents {
			kept = append(kept, f)
		}
	}
	switch c.propagation(obj, o) {
	case metav1.DeletePropagationOrphan:
		kept = append(kept, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		kept = append(kept, metav1.FinalizerDeleteDependents)
	}
	if sameSet(kept, obj.GetFinalizers()) {
		return obj.GetFinalizers()
	}
	return kept
}

// propagation decides what becomes of dependents: the options' word, else the object's, else the kind's.
func (c *call) propagation(obj metav1.Object, o *metav1.DeleteOptions) metav1.DeletionPropagation {
	var kind api.Orphaning
	if c.res.Strategy != nil {
		kind = c.res.Strategy.Orphaning
	}
	switch {
	case kind == api.NoDependents:
		return metav1.DeletePropagationBackground
	case o.OrphanDependents != nil && *o.OrphanDependents:
		return metav1.DeletePropagationOrphan
	case o.OrphanDependents != nil:
		return metav1.DeletePropagationBackground
	case o.PropagationPolicy != nil:
		return *o.PropagationPolicy
	}
	for _, f := range obj.GetFinalizers() {
		switch f {
		case metav1.FinalizerOrphanDependents:
			return metav1.DeletePropagationOrphan
		case metav1.FinalizerDeleteDependents:
			return metav1.DeletePropagationForeground
		}
	}
	if kind == api.OrphanDependents {
		return metav1.DeletePropagationOrphan
	}
	return metav1.DeletePropagationBackground
}

func sameSet(a, b []string) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			return false
		}
	}
	return true
}

// deleteNow says whether an update took away the last thing that a deleted object waited for.
func deleteNow(obj, old metav1.Object) bool {
	g := old.GetDeletionGracePeriodSeconds()
	return len(obj.GetFinalizers()) == 0 && old.GetDeletionTimestamp() != nil && (g == nil || *g == 0) && !namespaceHeld(obj)
}

// deleteByUpdate removes the object that the update has released.
func (c *call) deleteByUpdate(obj api.Object, cur *state, o writeOptions) (*written, error) {
	w, err := c.remove(obj, cur, o.dryRun)
	if err != nil {
		return nil, err
	}
	revision := w.revision
	obj.SetResourceVersion("")
	value, err := api.EncodeStorage(obj)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj.SetResourceVersion(strconv.FormatInt(revision, 10))
	return &written{state: state{obj: obj, value: value, revision: revision}, deleted: true}, nil
}
