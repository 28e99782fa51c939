package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Resource is the door to one kind.
type Resource[T Object] struct {
	c    *Client
	kind Kind[T]
}

// Of returns the door to kind k.
func Of[T Object](c *Client, k Kind[T]) Resource[T] { return Resource[T]{c, k} }

// Path is the URL path of the collection in namespace ns ("" for all), of one object and of its subresources.
func (r Resource[T]) Path(ns string, rest ...string) string {
	var b strings.Builder
	if r.kind.GroupVersion.Group == "" {
		b.WriteString("/api/" + r.kind.GroupVersion.Version)
	} else {
		b.WriteString("/apis/" + r.kind.GroupVersion.String())
	}
	if r.kind.Namespaced && ns != "" {
		b.WriteString("/namespaces/" + ns)
	}
	b.WriteString("/" + r.kind.Resource)
	for _, s := range rest {
		b.WriteString("/" + s)
	}
	return b.String()
}

// Get reads one object.
func (r Resource[T]) Get(ctx context.Context, ns, name string) (T, error) {
	return r.one(ctx, Request{Method: http.MethodGet, Path: r.Path(ns, name)})
}

// List reads the objects of namespace ns ("" for all) that o selects, and the list's own metadata.
func (r Resource[T]) List(ctx context.Context, ns string, o metav1.ListOptions) ([]T, metav1.ListInterface, error) {
	obj, err := r.c.into(ctx, Request{Method: http.MethodGet, Path: r.Path(ns), Query: listQuery(o), Accept: r.kind.accept(true, false)}, r.kind.decoder())
	if err != nil {
		return nil, nil, err
	}
	list, err := meta.ListAccessor(obj)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", r.kind.Resource, err)
	}
	items := make([]T, 0, meta.LenList(obj))
	err = meta.EachListItem(obj, func(o runtime.Object) error {
		items = append(items, o.(T))
		return nil
	})
	return items, list, err
}

// Create stores a new object and returns it as stored.
func (r Resource[T]) Create(ctx context.Context, obj T, sub ...string) (T, error) {
	path := r.Path(obj.GetNamespace())
	if len(sub) > 0 {
		path = r.Path(obj.GetNamespace(), append([]string{obj.GetName()}, sub...)...)
	}
	return r.write(ctx, http.MethodPost, path, obj)
}

// Update replaces an object; with sub it replaces a subresource such as "status".
func (r Resource[T]) Update(ctx context.Context, obj T, sub ...string) (T, error) {
	return r.write(ctx, http.MethodPut, r.Path(obj.GetNamespace(), append([]string{obj.GetName()}, sub...)...), obj)
}

// UpdateStatus replaces an object's status.
func (r Resource[T]) UpdateStatus(ctx context.Context, obj T) (T, error) {
	return r.Update(ctx, obj, "status")
}

// Patch changes an object, or with sub a subresource. Apply patches need the query's fieldManager (see Apply).
func (r Resource[T]) Patch(ctx context.Context, ns, name string, t types.PatchType, data []byte, sub ...string) (T, error) {
	return r.one(ctx, Request{Method: http.MethodPatch, Path: r.Path(ns, append([]string{name}, sub...)...), ContentType: string(t), Body: data})
}

// Apply merges an apply configuration, in JSON or YAML, into an object as manager's, which takes over what others manage.
func (r Resource[T]) Apply(ctx context.Context, ns, name, manager string, data []byte) (T, error) {
	return r.one(ctx, Request{Method: http.MethodPatch, Path: r.Path(ns, name), ContentType: string(types.ApplyYAMLPatchType), Body: data,
		Query: url.Values{"fieldManager": {manager}, "force": {"true"}}})
}

// Delete removes an object. A zero o uses the kind's own grace period and propagation.
func (r Resource[T]) Delete(ctx context.Context, ns, name string, o metav1.DeleteOptions) error {
	o.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}
	body, err := json.Marshal(&o)
	if err != nil {
		return fmt.Errorf("delete %s %s/%s: %w", r.kind.Resource, ns, name, err)
	}
	resp, err := r.c.Do(ctx, Request{Method: http.MethodDelete, Path: r.Path(ns, name), ContentType: jsonType, Body: body})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r Resource[T]) write(ctx context.Context, method, path string, obj T) (T, error) {
	var none T
	body, err := encode(obj, r.kind)
	if err != nil {
		return none, fmt.Errorf("%s %s: encode: %w", method, path, err)
	}
	return r.one(ctx, Request{Method: method, Path: path, ContentType: protobufType, Body: body})
}

func (r Resource[T]) one(ctx context.Context, req Request) (T, error) {
	var none T
	req.Accept = r.kind.accept(false, false)
	obj, err := r.c.into(ctx, req, r.kind.decoder())
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("%s %s: answer is a %T, not a %T", req.Method, req.Path, obj, none)
	}
	return t, nil
}

// encode writes obj in protobuf under its kind's name, without touching obj.
func encode[T Object](obj T, k Kind[T]) ([]byte, error) {
	codec := builtin().EncoderForVersion(wire(), k.GroupVersion)
	return runtime.Encode(codec, obj)
}

func listQuery(o metav1.ListOptions) url.Values {
	q := url.Values{}
	set := func(k, v string) {
		if v != "" {
			q.Set(k, v)
		}
	}
	set("labelSelector", o.LabelSelector)
	set("fieldSelector", o.FieldSelector)
	set("resourceVersion", o.ResourceVersion)
	set("resourceVersionMatch", string(o.ResourceVersionMatch))
	set("continue", o.Continue)
	if o.Limit > 0 {
		set("limit", fmt.Sprint(o.Limit))
	}
	if o.AllowWatchBookmarks {
		set("allowWatchBookmarks", "true")
	}
	if o.Watch {
		set("watch", "true")
	}
	return q
}

// DeleteAll removes every object of namespace ns that o selects.
func (r Resource[T]) DeleteAll(ctx context.Context, ns string, d metav1.DeleteOptions, o metav1.ListOptions) error {
	d.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}
	body, err := json.Marshal(&d)
	if err != nil {
		return fmt.Errorf("delete all %s in %s: %w", r.kind.Resource, ns, err)
	}
	resp, err := r.c.Do(ctx, Request{Method: http.MethodDelete, Path: r.Path(ns), Query: listQuery(o), ContentType: jsonType, Body: body})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
