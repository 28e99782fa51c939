package api

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a built-in kind in all the versions that serve it; the kind files of this package each describe one.
// The zero value of every field is the common case.
type kind struct {
	group          string
	name           string
	plural         string
	versions       []string // served, preferred first; v1
	storage        string   // version that etcd holds; the first served
	short          []string
	category       string
	cluster        bool     // not in a namespace
	virtual        bool     // never stored
	prefix         string   // in etcd below /registry/; the plural
	verbs          []string // all
	subs           []sub
	strategy       *Strategy
	returnsDeleted bool
	columns        []metav1.TableColumnDefinition
	row            func(obj runtime.Object, now time.Time) ([]any, error)
	rowParts       Parts // of the stored message that row looks at; all of it
	fields         func(obj runtime.Object) map[string]string
	wire           *wireMap // fields again, as places in the stored bytes
}

// sub is a subresource. An empty kind is the parent's, an empty gv that of the parent.
type sub struct {
	name     string
	kind     string
	gv       schema.GroupVersion
	verbs    []string
	strategy *Strategy
}

var (
	allVerbs    = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	statusVerbs = []string{"get", "patch", "update"}
	createOnly  = []string{"create"}
	proxyVerbs  = []string{"create", "delete", "get", "patch", "update"}
)

// status is the subresource that most kinds have, ruled by s.
func status(s *Strategy) sub { return sub{name: "status", verbs: statusVerbs, strategy: s} }

// scale is the subresource that autoscalers use; the server itself maps it onto replicas.
func scale() sub {
	return sub{name: "scale", kind: "Scale", gv: schema.GroupVersion{Group: "autoscaling", Version: "v1"}, verbs: statusVerbs}
}

// resources are the kind's served resources, one a version.
func (k kind) resources() []*Resource {
	if len(k.versions) == 0 {
		k.versions = []string{"v1"}
	}
	out := make([]*Resource, 0, len(k.versions))
	for _, v := range k.versions {
		out = append(out, k.resource(schema.GroupVersion{Group: k.group, Version: v}))
	}
	return out
}

func (k kind) resource(gv schema.GroupVersion) *Resource {
	r := &Resource{
		GroupVersion: gv, Kind: k.name, ListKind: k.name + "List",
		Name: k.plural, Singular: lower(k.name), ShortNames: k.short,
		Namespaced: !k.cluster, Verbs: k.verbs,
		Strategy: k.strategy, ReturnsDeleted: k.returnsDeleted,
		Columns: k.columns, Row: k.row, RowParts: k.rowParts, Fields: k.fields, wire: k.wire,
	}
	if r.Verbs == nil {
		r.Verbs = allVerbs
	}
	if k.category != "" {
		r.Categories = []string{k.category}
	}
	if r.Columns == nil {
		r.Columns, r.Row, r.Plain = table("Name", "Created At%"), defaultRow, true
	}
	r.Columns = documented(k.plural, r.Columns)
	r.FieldLabel = fieldLabel(r.GVK())
	if !k.virtual {
		r.Storage, r.Prefix = k.stored(), "/registry/"+k.prefixOf()
	}
	for _, s := range k.subs {
		r.Subresources = append(r.Subresources, s.on(r.GVK()))
	}
	return r
}

func (k kind) stored() schema.GroupVersionKind {
	v := k.storage
	if v == "" {
		v = k.versions[0]
	}
	return schema.GroupVersionKind{Group: k.group, Version: v, Kind: k.name}
}

func (k kind) prefixOf() string {
	if k.prefix != "" {
		return k.prefix
	}
	return k.plural
}

// on completes a subresource of the kind parent.
func (s sub) on(parent schema.GroupVersionKind) Subresource {
	out := Subresource{Name: s.name, Kind: parent, Verbs: s.verbs, Strategy: s.strategy}
	if s.kind != "" {
		out.Kind.Kind = s.kind
	}
	if !s.gv.Empty() {
		out.Kind = s.gv.WithKind(out.Kind.Kind)
	}
	return out
}

// typed turns a row function on one Go type into one on any object.
func typed[T runtime.Object](f func(T, time.Time) []any) func(runtime.Object, time.Time) ([]any, error) {
	return func(obj runtime.Object, now time.Time) ([]any, error) {
		t, ok := obj.(T)
		if !ok {
			return nil, fmt.Errorf("row of a %T: want a %T", obj, t)
		}
		return f(t, now), nil
	}
}

// fieldLabel renames the fields of selectors as upstream's conversions for the kind do.
func fieldLabel(gvk schema.GroupVersionKind) func(label, value string) (string, string, error) {
	return func(label, value string) (string, string, error) {
		return Scheme().ConvertFieldLabel(gvk, label, value)
	}
}

var authenticationV1 = schema.GroupVersion{Group: "authentication.k8s.io", Version: "v1"}
