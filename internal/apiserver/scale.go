package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

var scaleKind = autoscalingv1.SchemeGroupVersion.WithKind("Scale")

// scaleParts are the fields of a scalable kind that its Scale shows.
func scaleParts(obj api.Object) (want *int32, have int32, selector string, err error) {
	var sel *metav1.LabelSelector
	switch o := obj.(type) {
	case *appsv1.Deployment:
		want, have, sel = orOne(&o.Spec.Replicas), o.Status.Replicas, o.Spec.Selector
	case *appsv1.ReplicaSet:
		want, have, sel = orOne(&o.Spec.Replicas), o.Status.Replicas, o.Spec.Selector
	case *appsv1.StatefulSet:
		want, have, sel = orOne(&o.Spec.Replicas), o.Status.Replicas, o.Spec.Selector
	case *corev1.ReplicationController:
		return orOne(&o.Spec.Replicas), o.Status.Replicas, labels.SelectorFromSet(o.Spec.Selector).String(), nil
	default:
		return nil, 0, "", apierrors.NewInternalError(fmt.Errorf("%T has no scale", obj))
	}
	s, err := metav1.LabelSelectorAsSelector(sel)
	if err != nil {
		return nil, 0, "", apierrors.NewInternalError(err)
	}
	return want, have, s.String(), nil
}

func orOne(p **int32) *int32 {
	if *p == nil {
		one := int32(1)
		*p = &one
	}
	return *p
}

// scaleOf shows obj as a Scale.
func scaleOf(obj api.Object) (*autoscalingv1.Scale, error) {
	want, have, selector, err := scaleParts(obj)
	if err != nil {
		return nil, err
	}
	s := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
		ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp()},
		Spec: autoscalingv1.ScaleSpec{Replicas: *want}, Status: autoscalingv1.ScaleStatus{Replicas: have, Selector: selector}}
	s.SetGroupVersionKind(scaleKind)
	return s, nil
}

// getScale answers with an object's Scale.
func (c *call) getScale() error {
	o := &metav1.GetOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return err
	}
	if err := c.s.waitFor(c.ctx(), o.ResourceVersion); err != nil {
		return err
	}
	obj, ok := c.s.cache.Get(c.key())
	if !ok {
		return apierrors.NewNotFound(c.gr(), c.info.Name)
	}
	hub, err := c.res.object(obj)
	if err != nil {
		return err
	}
	return c.replyScale(http.StatusOK, hub)
}

func (c *call) replyScale(code int, obj api.Object) error {
	s, err := scaleOf(obj)
	if err != nil {
		return err
	}
	if c.out.Shape == negotiate.Table {
		return c.scaleTable(code, s)
	}
	return c.reply(code, s, scaleKind)
}

// scaleTable shows a Scale as a row.
func (c *call) scaleTable(code int, s *autoscalingv1.Scale) error {
	o, err := tableOptions(c.query)
	if err != nil {
		return err
	}
	row := metav1.TableRow{Cells: []any{s.Name, int64(s.Spec.Replicas), int64(s.Status.Replicas), age(s.CreationTimestamp, c.s.cfg.Now())}}
	var shown any
	switch o.IncludeObject {
	case metav1.IncludeNone:
	case metav1.IncludeObject:
		shown = s
	default:
		shown = &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/" + c.out.Version, Kind: string(negotiate.Metadata)}, ObjectMeta: s.ObjectMeta}
	}
	if shown != nil {
		if row.Object.Raw, err = json.Marshal(shown); err != nil {
			return err
		}
	}
	t := &metav1.Table{ListMeta: metav1.ListMeta{ResourceVersion: s.ResourceVersion}, Rows: []metav1.TableRow{row}, ColumnDefinitions: scaleColumns()}
	if o.NoHeaders {
		t.ColumnDefinitions = []metav1.TableColumnDefinition{}
	}
	return c.reply(code, t, metaKind(c.out, string(negotiate.Table)))
}

func scaleColumns() []metav1.TableColumnDefinition {
	meta := metav1.ObjectMeta{}.SwaggerDoc()
	return []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Description: meta["name"]},
		{Name: "Desired", Type: "integer", Description: autoscalingv1.ScaleSpec{}.SwaggerDoc()["replicas"]},
		{Name: "Available", Type: "integer", Description: autoscalingv1.ScaleStatus{}.SwaggerDoc()["replicas"]},
		{Name: "Age", Type: "string", Description: meta["creationTimestamp"]}}
}

// age is how long ago t was, as kubectl writes it.
func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// updateScale sets an object's replicas by its Scale.
func (c *call) updateScale() error {
	o, err := c.updateOptions()
	if err != nil {
		return err
	}
	sent, err := decodeInto[*autoscalingv1.Scale](c, scaleKind.GroupVersion(), scaleKind.Kind, o.FieldValidation)
	if err != nil {
		return err
	}
	if err := c.sameName(sent); err != nil {
		return err
	}
	return c.setScale(writeOptions{options: o, dryRun: isDryRun(o.DryRun)}, func(old *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
		fm, err := c.s.owners.ofScale()
		if err != nil {
			return nil, err
		}
		return fm.UpdateNoErrors(old, copyOf(sent), c.manager(o.FieldManager)).(*autoscalingv1.Scale), nil
	})
}

// patchScale changes an object's replicas by a patch of its Scale.
func (c *call) patchScale() error {
	p, err := c.newPatch()
	if err != nil {
		return err
	}
	return c.setScale(writeOptions{options: asUpdate(p.options), dryRun: isDryRun(p.options.DryRun)}, p.scale)
}

// setScale edits the object through its Scale.
func (c *call) setScale(o writeOptions, f func(old *autoscalingv1.Scale) (*autoscalingv1.Scale, error)) error {
	w, err := c.mutate(o, func(old api.Object) (api.Object, error) {
		was, err := scaleOf(old)
		if err != nil {
			return nil, err
		}
		h := c.scaleOwners(old.GetManagedFields())
		if was.ManagedFields, err = h.ToSubresource(); err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		s, err := f(was)
		if err != nil {
			return nil, err
		}
		if err := validScale(s, was); err != nil {
			return nil, err
		}
		want, _, _, err := scaleParts(old)
		if err != nil {
			return nil, err
		}
		*want = s.Spec.Replicas
		entries, err := h.ToParent(s.ManagedFields)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		old.SetManagedFields(entries)
		old.SetResourceVersion(s.ResourceVersion)
		return old, nil
	})
	if err != nil {
		return err
	}
	return c.replyScale(http.StatusOK, w.obj)
}

// validScale checks what a Scale may say.
func validScale(s, was *autoscalingv1.Scale) error {
	if s.UID != "" && s.UID != was.UID {
		return apierrors.NewConflict(scaleKind.GroupVersion().WithResource("scales").GroupResource(), s.Name,
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", s.UID, was.UID))
	}
	if s.Spec.Replicas < 0 {
		return apierrors.NewInvalid(scaleKind.GroupKind(), s.Name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "replicas"), s.Spec.Replicas, "must be greater than or equal to 0")})
	}
	return nil
}

// scaleOwners translates field ownership between an object and its Scale.
func (c *call) scaleOwners(entries []metav1.ManagedFieldsEntry) *managedfields.ScaleHandler {
	paths := managedfields.ResourcePathMappings{c.res.GroupVersion.String(): fieldpath.MakePathOrDie("spec", "replicas")}
	return managedfields.NewScaleHandler(entries, c.res.GroupVersion, paths)
}

// ofScale returns the manager of a Scale's fields.
func (o *owners) ofScale() (*managedfields.FieldManager, error) {
	scheme := api.Scheme()
	return managedfields.NewDefaultFieldManager(fieldTypes(), converter{}, scheme, scheme, scaleKind, scaleKind.GroupVersion(), "scale", nil)
}
