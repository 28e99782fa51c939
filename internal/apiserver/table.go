package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// tableOptions of a request that wants a Table.
func tableOptions(q url.Values) (*metav1.TableOptions, error) {
	o := &metav1.TableOptions{}
	if err := parseQuery(q, o); err != nil {
		return nil, err
	}
	switch errs := validation.ValidateTableOptions(o); len(errs) {
	case 0:
		return o, nil
	case 1:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", errs[0].Error()))
	default:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", errs))
	}
}

// defaultColumns are those of a kind that describes none.
var defaultColumns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]},
	{Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
}

// table answers with rows for people.
func (c *call) table(code int, objects []*cache.Object, lm metav1.ListMeta) error {
	o, err := tableOptions(c.query)
	if err != nil {
		return err
	}
	none := len(objects) == 0 && (c.res.Row == nil || c.res.Plain || c.res.Kind == "CustomResourceDefinition") // then upstream says null
	if c.out.Media == negotiate.JSON && !c.out.Pretty && code == http.StatusOK && c.res.Kind != "FlowSchema" && !none {
		return c.tableList(objects, lm, o)
	}
	t := &metav1.Table{ListMeta: lm}
	if !none {
		t.Rows = make([]metav1.TableRow, 0, len(objects))
	}
	if !o.NoHeaders {
		t.ColumnDefinitions = c.res.columns()
	}
	now := c.s.cfg.Now()
	for _, obj := range objects {
		row, err := c.res.row(obj, o.IncludeObject, c.out.Version, now)
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, row)
	}
	if c.res.Kind == "FlowSchema" {
		sort.SliceStable(t.Rows, func(i, j int) bool { return t.Rows[i].Cells[2].(int64) < t.Rows[j].Cells[2].(int64) }) // in the order they match
	}
	if t.ColumnDefinitions == nil {
		t.ColumnDefinitions = []metav1.TableColumnDefinition{}
	}
	return c.reply(code, t, metaKind(c.out, string(negotiate.Table)))
}

func (r *resource) columns() []metav1.TableColumnDefinition {
	if r.Row == nil {
		return defaultColumns
	}
	return r.Columns
}

// row renders one object's cells and what of the object itself goes with them.
func (r *resource) row(o *cache.Object, include metav1.IncludeObjectPolicy, version string, now time.Time) (metav1.TableRow, error) {
	obj, err := r.object(o)
	if err != nil {
		return metav1.TableRow{}, err
	}
	row := metav1.TableRow{}
	if row.Cells, err = r.cells(obj, now); err != nil {
		return row, err
	}
	switch include {
	case metav1.IncludeNone:
	case metav1.IncludeObject:
		item, err := r.item(o)
		if err != nil {
			return row, err
		}
		row.Object.Raw = nameJSON(item, r.GVK())
	default:
		m := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/" + version, Kind: string(negotiate.Metadata)}}
		m.ObjectMeta = *objectMeta(obj)
		r.hideTemplateGeneration(&m.ObjectMeta)
		if row.Object.Raw, err = json.Marshal(m); err != nil {
			return row, err
		}
	}
	return row, nil
}

func (r *resource) cells(o runtime.Object, now time.Time) ([]any, error) {
	if r.Row == nil {
		obj := o.(api.Object)
		return []any{obj.GetName(), obj.GetCreationTimestamp().UTC().Format(time.RFC3339)}, nil
	}
	return r.Row(o, now)
}

// hideTemplateGeneration takes an annotation away that upstream shows with the whole DaemonSet only: there it is a field.
func (r *resource) hideTemplateGeneration(m *metav1.ObjectMeta) {
	if r.Kind == "DaemonSet" {
		delete(m.Annotations, appsv1.DeprecatedTemplateGeneration)
	}
}

// objectMeta copies the metadata of any object.
func objectMeta(obj metav1.Object) *metav1.ObjectMeta {
	if a, ok := obj.(metav1.ObjectMetaAccessor); ok {
		if m, ok := a.GetObjectMeta().(*metav1.ObjectMeta); ok {
			return m
		}
	}
	return &metav1.ObjectMeta{Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(), Labels: obj.GetLabels(),
		Annotations: obj.GetAnnotations(), ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp()}
}
