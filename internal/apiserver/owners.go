package apiserver

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/ownership"
)

// owners records which manager wrote which fields of which object (metadata.managedFields), and merges applied
// configurations.
type owners struct {
	mu       sync.Mutex
	managers map[ownerKey]*managedfields.FieldManager
	kinds    map[ownerKey]*ownership.Kind
	sets     ownership.Sets
}

type ownerKey struct {
	gvr     schema.GroupVersionResource
	sub     string
	applies bool
}

func newOwners() *owners {
	return &owners{managers: map[ownerKey]*managedfields.FieldManager{}, kinds: map[ownerKey]*ownership.Kind{}}
}

// fieldSchema is the schema of all kinds' fields, read once.
var fieldSchema = sync.OnceValue(func() *typed.Parser {
	p, err := ownership.Parser()
	if err != nil {
		panic(fmt.Sprintf("apiserver: %v", err)) // the program itself is damaged
	}
	return p
})

// fieldTypes reads objects by that schema.
var fieldTypes = sync.OnceValue(func() managedfields.TypeConverter {
	return managedfields.NewSchemeTypeConverter(api.Scheme(), fieldSchema())
})

// Warm does ahead what the first server, or the first write, would wait for. Run calls it; a caller that has to wait for
// its disk first, to open the store, may call it meanwhile.
func Warm() {
	api.All()
	fieldTypes()
}

// of returns the manager of a resource's fields as written through sub (nil for the object itself), for one who applies a
// configuration or for all others.
func (o *owners) of(r *resource, sub *api.Subresource, applies bool) (*managedfields.FieldManager, error) {
	k := ownerKey{gvr: r.GVR(), applies: applies}
	types := fieldTypes()
	if !applies {
		types = goTypes{types, fieldSchema()}
	}
	strategy := r.Strategy
	if sub != nil {
		k.sub = sub.Name
		if sub.Strategy != nil {
			strategy = sub.Strategy
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.managers[k]; m != nil {
		return m, nil
	}
	scheme := api.Scheme()
	hub := r.Storage.GroupVersion()
	if !r.Stored() {
		hub = r.GroupVersion
	}
	m, err := managedfields.NewDefaultFieldManager(types, converter{}, scheme, scheme, r.GVK(), hub, k.sub, resetFields(r, strategy))
	if err != nil {
		return nil, fmt.Errorf("field manager of %s: %w", r.Name, err)
	}
	o.managers[k] = m
	return m, nil
}

// update gives next, by which manager replaces old (an empty object for a new one), its managed fields.
func (o *owners) update(r *resource, sub *api.Subresource, old, next api.Object, manager string) (api.Object, error) {
	k, err := o.kind(r, sub)
	if err != nil {
		return nil, err
	}
	if k != nil && k.Update(old, next, manager, time.Now()) {
		return next, nil
	}
	m, err := o.of(r, sub, false)
	if err != nil {
		return nil, err
	}
	return m.UpdateNoErrors(old, next, manager).(api.Object), nil
}

// apply merges a configuration that manager applies into live, a new object where it has no managed fields.
func (o *owners) apply(r *resource, sub *api.Subresource, live api.Object, conf map[string]any, manager string, force bool) (api.Object, error) {
	if k, err := o.kind(r, sub); err == nil && k != nil && k.Apply(live, conf, manager, time.Now()) {
		api.Default(live)
		return live, nil
	}
	m, err := o.of(r, sub, true)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	out, err := m.Apply(live, &unstructured.Unstructured{Object: conf}, manager, force)
	if err != nil {
		return nil, err
	}
	return out.(api.Object), nil
}

// kind is the short way for a kind that is stored in the version in which it is written; nil for others.
func (o *owners) kind(r *resource, sub *api.Subresource) (*ownership.Kind, error) {
	if !r.Stored() || r.GVK() != r.Storage {
		return nil, nil
	}
	key, strategy := ownerKey{gvr: r.GVR()}, r.Strategy
	if sub != nil {
		key.sub = sub.Name
		if sub.Strategy != nil {
			strategy = sub.Strategy
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if k := o.kinds[key]; k != nil {
		return k, nil
	}
	name, err := api.Scheme().ToOpenAPIDefinitionName(r.Storage)
	if err != nil {
		return nil, fmt.Errorf("field manager of %s: %w", r.Name, err)
	}
	obj, err := r.New()
	if err != nil {
		return nil, fmt.Errorf("field manager of %s: %w", r.Name, err)
	}
	var unread []string
	if strategy != nil {
		for _, f := range strategy.ResetFields {
			if !strings.Contains(f, ".") {
				unread = append(unread, f)
			}
		}
	}
	version := r.GroupVersion.String()
	k := &ownership.Kind{Type: fieldSchema().Type(name), Name: r.Kind, Version: version, Opaque: ownership.Opaque(reflect.TypeOf(obj)), Subresource: key.sub,
		Reset: resetFields(r, strategy)[fieldpath.APIVersion(version)], Unread: unread, Sets: &o.sets}
	o.kinds[key] = k
	return k, nil
}

// resetFields are the fields that nobody comes to own by writing through this path, for each version of the kind.
func resetFields(r *resource, s *api.Strategy) map[fieldpath.APIVersion]fieldpath.Filter {
	if s == nil || len(s.ResetFields) == 0 {
		return nil
	}
	set := fieldpath.NewSet()
	for _, f := range s.ResetFields {
		set.Insert(fieldpath.MakePathOrDie(pathParts(f)...))
	}
	filter := fieldpath.NewExcludeSetFilter(set)
	out := map[fieldpath.APIVersion]fieldpath.Filter{}
	for _, other := range api.All() {
		if other.Prefix == r.Prefix {
			out[fieldpath.APIVersion(other.GroupVersion.String())] = filter
		}
	}
	return out
}

// pathParts splits "metadata.deletionTimestamp".
func pathParts(f string) []any {
	var parts []any
	for p := range strings.SplitSeq(f, ".") {
		parts = append(parts, p)
	}
	return parts
}

// converter converts between a kind's versions for field management.
type converter struct{}

// ConvertToVersion is in runtime.ObjectConvertor.
func (converter) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	v, ok := gv.(schema.GroupVersion)
	if !ok {
		return nil, fmt.Errorf("convert %T: %v is not one version", in, gv)
	}
	if u, ok := in.(*unstructured.Unstructured); ok {
		return fromUnstructured(u, v)
	}
	return api.Convert(in, v)
}

// fromUnstructured gives a merged configuration its Go type.
func fromUnstructured(u *unstructured.Unstructured, gv schema.GroupVersion) (runtime.Object, error) {
	gvk := u.GroupVersionKind()
	obj, err := api.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.UnstructuredContent(), obj); err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	if gvk.GroupVersion() == gv {
		return obj, nil
	}
	return api.Convert(obj, gv)
}

// Convert is in runtime.ObjectConvertor.
func (converter) Convert(in, out, context any) error { return api.Scheme().Convert(in, out, context) }

// ConvertFieldLabel is in runtime.ObjectConvertor.
func (converter) ConvertFieldLabel(gvk schema.GroupVersionKind, label, value string) (string, string, error) {
	return api.Scheme().ConvertFieldLabel(gvk, label, value)
}

// manager is the name under which a request's writes are recorded: its own word, or the first of its user agent.
func (c *call) manager(named string) string {
	if named != "" {
		return named
	}
	agent, _, _ := strings.Cut(c.r.UserAgent(), "/")
	var b strings.Builder
	for _, r := range agent {
		if !unicode.IsPrint(r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > validation.FieldManagerMaxLength {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
