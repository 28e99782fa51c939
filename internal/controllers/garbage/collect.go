package garbage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

func (g *collector) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	o := g.graph.get(types.UID(k.Name))
	if o == nil {
		return control.Result{}, nil
	}
	if o.deleting {
		switch o.finalizer {
		case metav1.FinalizerOrphanDependents:
			return control.Result{}, g.orphan(ctx, o)
		case metav1.FinalizerDeleteDependents:
			return control.Result{}, g.foreground(ctx, o)
		}
		return control.Result{}, nil
	}
	return control.Result{}, g.collect(ctx, o)
}

// collect deletes o when all its owners are gone, and cuts dead references when some are. The graph only says that it may
// be time: what is done, is done to the object as it is now, for the graph may not have seen that it was orphaned.
func (g *collector) collect(ctx context.Context, o *object) error {
	if f, err := g.findings(ctx, o); err != nil || f.rest(o) {
		return err
	}
	live, err := g.door(o).Get(ctx, o.namespace, o.name)
	if err != nil {
		return gone(err)
	}
	if live.UID != o.uid || live.DeletionTimestamp != nil {
		return nil
	}
	now := newObject(o.gvr, live)
	f, err := g.findings(ctx, now)
	switch {
	case err != nil || f.rest(now):
		return err
	case len(f.solid) > 0:
		return g.cut(ctx, now, append(f.dangling, f.waiting...))
	case len(f.waiting) > 0 && len(g.graph.dependentsOf(o.uid)) > 0:
		version := live.ResourceVersion
		if slices.ContainsFunc(g.graph.dependentsOf(o.uid), waits) {
			// Owners in a circle would wait for each other for ever.
			if version, err = g.unblock(ctx, now, version); err != nil || version == "" {
				return err
			}
		}
		return g.delete(ctx, now, version, metav1.DeletePropagationForeground)
	default:
		return g.delete(ctx, now, live.ResourceVersion, g.propagation(now))
	}
}

// unblock has the owners of an object no longer wait for it, and returns its new version; "" when it is gone.
func (g *collector) unblock(ctx context.Context, o *object, version string) (string, error) {
	owners := slices.Clone(o.owners)
	for i := range owners {
		owners[i].BlockOwnerDeletion = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.uid, "resourceVersion": version, "ownerReferences": owners}})
	if err != nil {
		return "", err
	}
	changed, err := g.door(o).Patch(ctx, o.namespace, o.name, types.MergePatchType, patch)
	if err != nil {
		return "", gone(err)
	}
	return changed.ResourceVersion, nil
}

// findings are an object's owners by their state.
type findings struct{ solid, dangling, waiting []metav1.OwnerReference }

// rest reports that there is nothing to do about o: it has no owners, or none of them is gone or waits for it.
func (f findings) rest(o *object) bool {
	return len(o.owners) == 0 || len(f.solid) > 0 && len(f.dangling)+len(f.waiting) == 0
}

func (g *collector) findings(ctx context.Context, o *object) (f findings, err error) {
	for _, ref := range o.owners {
		state, err := g.ownerState(ctx, o, ref)
		if err != nil {
			return f, err
		}
		switch state {
		case ownerThere:
			f.solid = append(f.solid, ref)
		case ownerGone:
			f.dangling = append(f.dangling, ref)
		case ownerWaits:
			f.waiting = append(f.waiting, ref)
		}
	}
	return f, nil
}

// propagation respects a finalizer that asks for more than background.
func (g *collector) propagation(o *object) metav1.DeletionPropagation {
	switch o.finalizer {
	case metav1.FinalizerOrphanDependents:
		return metav1.DeletePropagationOrphan
	case metav1.FinalizerDeleteDependents:
		return metav1.DeletePropagationForeground
	}
	return metav1.DeletePropagationBackground
}

// waits says whether an object is being deleted and stays until its dependents are gone.
func waits(o *object) bool { return o.deleting && o.finalizer == metav1.FinalizerDeleteDependents }

type ownerState int

const (
	ownerThere ownerState = iota
	ownerGone             // no object of that name, or one with another UID
	ownerWaits            // being deleted in the foreground: it waits for its dependents
)

// ownerState asks the graph, and where the graph does not know the owner, the API server.
func (g *collector) ownerState(ctx context.Context, o *object, ref metav1.OwnerReference) (ownerState, error) {
	if owner := g.graph.get(ref.UID); owner != nil {
		if owner.namespace != "" && owner.namespace != o.namespace {
			return ownerGone, nil // an owner in another namespace owns nothing here
		}
		if waits(owner) {
			return ownerWaits, nil
		}
		return ownerThere, nil
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return 0, fmt.Errorf("owner reference of %s %s/%s: %w", o.gvr.Resource, o.namespace, o.name, err)
	}
	g.mu.Lock()
	r, known := g.kinds[schema.GroupKind{Group: gv.Group, Kind: ref.Kind}]
	g.mu.Unlock()
	if !known {
		return ownerThere, nil // a kind that is not served (yet) says nothing about its objects
	}
	ns := o.namespace
	if !r.Namespaced {
		ns = ""
	} else if ns == "" {
		return ownerThere, nil // a cluster-wide object cannot have a namespaced owner; upstream leaves it alone
	}
	live, err := client.Of(g.c, client.MetadataKind(r.GVR, r.Kind, r.Namespaced)).Get(ctx, ns, ref.Name)
	if apierrors.IsNotFound(err) || err == nil && live.UID != ref.UID {
		return ownerGone, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for owner %s %s/%s: %w", r.GVR.Resource, ns, ref.Name, err)
	}
	return ownerThere, nil
}

// foreground deletes the dependents of o and, when none is left that blocks it, lets o go.
func (g *collector) foreground(ctx context.Context, o *object) error {
	blocked := false
	for _, d := range g.graph.dependentsOf(o.uid) {
		i := slices.IndexFunc(d.owners, func(r metav1.OwnerReference) bool { return r.UID == o.uid })
		if i < 0 {
			continue
		}
		if blocks(d.owners[i]) {
			blocked = true
		}
		if !d.deleting {
			if err := g.collect(ctx, d); err != nil {
				return err
			}
		}
	}
	if blocked {
		return nil
	}
	living, err := g.living(ctx, o)
	if err != nil {
		return err
	}
	for _, d := range living {
		if slices.ContainsFunc(d.owners, func(r metav1.OwnerReference) bool { return r.UID == o.uid && blocks(r) }) {
			return fmt.Errorf("%s %s/%s still blocks its owner, which the graph has not seen", d.gvr.Resource, d.namespace, d.name)
		}
	}
	return g.unfinalize(ctx, o, metav1.FinalizerDeleteDependents)
}

// living asks the API server for the dependents of o. Each kind comes to the graph in its own time: it may know that the owner is
// being deleted and not yet that a dependent is there, and what is let go of cannot be called back.
func (g *collector) living(ctx context.Context, o *object) (out []*object, err error) {
	g.mu.Lock()
	kinds := g.served()
	g.mu.Unlock()
	for _, r := range kinds {
		if o.namespace != "" && !r.Namespaced {
			continue
		}
		list, _, err := client.Of(g.c, client.MetadataKind(r.GVR, r.Kind, r.Namespaced)).List(ctx, o.namespace, metav1.ListOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			continue // no longer served
		}
		if err != nil {
			return nil, fmt.Errorf("look for dependents among %s: %w", r.GVR.Resource, err)
		}
		for _, m := range list {
			if slices.ContainsFunc(m.OwnerReferences, func(ref metav1.OwnerReference) bool { return ref.UID == o.uid }) {
				out = append(out, newObject(r.GVR, m))
			}
		}
	}
	return out, nil
}

// orphan takes o's reference off its dependents, then lets o go.
func (g *collector) orphan(ctx context.Context, o *object) error {
	living, err := g.living(ctx, o)
	if err != nil {
		return err
	}
	for _, d := range living {
		i := slices.IndexFunc(d.owners, func(r metav1.OwnerReference) bool { return r.UID == o.uid })
		if i < 0 {
			continue
		}
		if err := g.cut(ctx, d, []metav1.OwnerReference{d.owners[i]}); err != nil {
			return err
		}
	}
	return g.unfinalize(ctx, o, metav1.FinalizerOrphanDependents)
}

func (g *collector) door(o *object) client.Resource[*metav1.PartialObjectMetadata] {
	return client.Of(g.c, client.MetadataKind(o.gvr, "", o.namespace != ""))
}

// delete removes o where it still is the version that was judged; a conflict comes back, to be judged again.
func (g *collector) delete(ctx context.Context, o *object, version string, p metav1.DeletionPropagation) error {
	err := g.door(o).Delete(ctx, o.namespace, o.name, metav1.DeleteOptions{PropagationPolicy: &p,
		Preconditions: &metav1.Preconditions{UID: &o.uid, ResourceVersion: &version}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		g.log.Debug("collected", "resource", o.gvr.Resource, "namespace", o.namespace, "name", o.name)
	}
	return err
}

// cut removes owner references from o.
func (g *collector) cut(ctx context.Context, o *object, refs []metav1.OwnerReference) error {
	var drop []any
	for _, r := range refs {
		drop = append(drop, map[string]any{"$patch": "delete", "uid": r.UID})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.uid, "ownerReferences": drop}})
	if err != nil {
		return err
	}
	_, err = g.door(o).Patch(ctx, o.namespace, o.name, types.StrategicMergePatchType, patch)
	if apierrors.IsUnsupportedMediaType(err) {
		return g.cutByUpdate(ctx, o, refs)
	}
	return gone(err)
}

// cutByUpdate is cut for custom resources, which know no strategic merge.
func (g *collector) cutByUpdate(ctx context.Context, o *object, refs []metav1.OwnerReference) error {
	live, err := g.door(o).Get(ctx, o.namespace, o.name)
	if err != nil {
		return gone(err)
	}
	kept := slices.DeleteFunc(slices.Clone(live.OwnerReferences), func(r metav1.OwnerReference) bool {
		return slices.ContainsFunc(refs, func(x metav1.OwnerReference) bool { return x.UID == r.UID })
	})
	return g.mergeMeta(ctx, o, map[string]any{"resourceVersion": live.ResourceVersion, "ownerReferences": kept})
}

// unfinalize takes finalizer f off o.
func (g *collector) unfinalize(ctx context.Context, o *object, f string) error {
	live, err := g.door(o).Get(ctx, o.namespace, o.name)
	if err != nil {
		return gone(err)
	}
	if live.UID != o.uid || !slices.Contains(live.Finalizers, f) {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(live.Finalizers), func(x string) bool { return x == f })
	return g.mergeMeta(ctx, o, map[string]any{"resourceVersion": live.ResourceVersion, "finalizers": kept})
}

func (g *collector) mergeMeta(ctx context.Context, o *object, meta map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return err
	}
	_, err = g.door(o).Patch(ctx, o.namespace, o.name, types.MergePatchType, patch)
	return gone(err)
}

// gone drops the errors that only say that the object is no longer there, or is another one now.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	var st apierrors.APIStatus
	if errors.As(err, &st) && st.Status().Reason == metav1.StatusReasonInvalid {
		for _, c := range st.Status().Details.Causes {
			if c.Field == "metadata.uid" && c.Type == metav1.CauseType("FieldValueInvalid") {
				return nil
			}
		}
	}
	return err
}
