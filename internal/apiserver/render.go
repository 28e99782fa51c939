package apiserver

import (
	"bytes"
	"encoding/json"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// object decodes a cached object into the storage type, with its resourceVersion. The result is the caller's own.
func (r *resource) object(o *cache.Object) (api.Object, error) {
	var obj api.Object
	err := o.ReadValue(func(value []byte) (err error) {
		obj, err = r.DecodeStorage(value)
		return err
	})
	if err != nil {
		return nil, err
	}
	obj.SetResourceVersion(revisionText(o.Revision))
	return obj, nil
}

// served decodes a cached object into this version.
func (r *resource) served(o *cache.Object) (runtime.Object, error) {
	obj, err := r.object(o)
	if err != nil {
		return nil, err
	}
	return r.toVersion(obj)
}

// toVersion converts an object of the storage type. obj must not be used afterwards.
func (r *resource) toVersion(obj api.Object) (runtime.Object, error) {
	if r.Storage == r.GVK() {
		return obj, nil
	}
	return api.Convert(obj, r.GroupVersion)
}

// item is a cached object in JSON without its kind: rendered once, then remembered.
func (r *resource) item(o *cache.Object) ([]byte, error) {
	return o.Memo(r.memo+memoJSON, r.renderItem(o))
}

func (r *resource) renderItem(o *cache.Object) func() ([]byte, error) {
	return func() ([]byte, error) {
		if b := r.transcoded(o); b != nil {
			return b, nil
		}
		return r.decodedItem(o)
	}
}

// decodedItem renders what has no plan.
func (r *resource) decodedItem(o *cache.Object) ([]byte, error) {
	obj, err := r.served(o)
	if err != nil {
		return nil, err
	}
	return encodeItem(obj)
}

// appendItem is item appended to b, for lists and watches.
func (r *resource) appendItem(b []byte, o *cache.Object) ([]byte, error) {
	return o.AppendRendered(b, r.memo+memoJSON, func(b []byte) ([]byte, error) {
		if out, ok := r.appendTranscoded(b, o); ok {
			return out, nil
		}
		item, err := r.decodedItem(o)
		return append(b, item...), err
	})
}

// message is a cached object's protobuf message without the resourceVersion where whole is false: then it is the stored
// bytes themselves. Where whole is true it had to be made, and is complete.
func (r *resource) message(o *cache.Object) (raw []byte, whole bool, err error) {
	if r.Storage == r.GVK() {
		if raw, err = rawMessage(o.Value()); err != errNotProtobuf {
			return raw, false, err
		}
	}
	b, err := o.Memo(r.memo+memoProtobuf, func() ([]byte, error) {
		obj, err := r.served(o)
		if err != nil {
			return nil, err
		}
		return encodeProtobuf(obj, r.GVK())
	})
	if err != nil {
		return nil, true, err
	}
	raw, err = rawMessage(b)
	return raw, true, err
}

// body renders one cached object for a GET or a watch event: with its kind, without a newline.
func (r *resource) body(o *cache.Object, out negotiate.Output) ([]byte, error) {
	switch {
	case out.Shape == negotiate.Metadata || out.Shape == negotiate.Metas:
		return r.metadataBody(o, out)
	case out.Media == negotiate.Protobuf:
		raw, whole, err := r.message(o)
		if err != nil {
			return nil, err
		}
		if whole {
			b := appendUnknown(make([]byte, 0, len(raw)+128), r.GVK(), len(raw))
			return append(append(b, raw...), unknownTail...), nil
		}
		return frameObject(r.GVK(), raw, o.Revision), nil
	}
	item, err := r.item(o)
	if err != nil {
		return nil, err
	}
	return nameJSON(item, r.GVK()), nil
}

// metadataOf reads the metadata alone, out of the message where there is one.
func (r *resource) metadataOf(o *cache.Object) (*metav1.PartialObjectMetadata, error) {
	p := &metav1.PartialObjectMetadata{}
	err := o.ReadValue(func(value []byte) error {
		raw, err := rawMessage(value)
		if err != nil {
			return json.Unmarshal(value, p)
		}
		m, _, err := lastField(raw, 1)
		if err != nil {
			return err
		}
		return p.ObjectMeta.Unmarshal(m)
	})
	p.TypeMeta = metav1.TypeMeta{}
	r.hideTemplateGeneration(&p.ObjectMeta)
	p.ResourceVersion = revisionText(o.Revision)
	return p, err
}

func (r *resource) metadataBody(o *cache.Object, out negotiate.Output) ([]byte, error) {
	p, err := r.metadataOf(o)
	if err != nil {
		return nil, err
	}
	gvk := metaKind(out, string(negotiate.Metadata))
	if out.Media == negotiate.Protobuf {
		return encodeProtobuf(p, gvk)
	}
	item, err := encodeItem(p)
	if err != nil {
		return nil, err
	}
	return nameJSON(item, gvk), nil
}

// metaKind is a kind of meta.k8s.io in the version that was asked for.
func metaKind(out negotiate.Output, kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: metav1.GroupName, Version: out.Version, Kind: kind}
}

// answer sends one cached object in the form that was asked for.
func (c *call) answer(code int, o *cache.Object) error {
	if c.out.Shape == negotiate.Table {
		return c.table(code, []*cache.Object{o}, metav1.ListMeta{ResourceVersion: revisionText(o.Revision)})
	}
	if c.out.Shape == negotiate.Metas {
		return wrongShape(c.out.Shape, "not a list ("+api.InternalName(c.res.GVK().GroupKind())+")")
	}
	b, err := c.res.body(o, c.out)
	if err != nil {
		return err
	}
	if c.out.Media != negotiate.Protobuf {
		if b, err = finishJSON(bytes.Clone(b), c.out); err != nil {
			return err
		}
	}
	c.send(code, b)
	return nil
}

// revisionText is a revision as a resourceVersion; what was only tried has none.
func revisionText(revision int64) string {
	if revision == 0 {
		return ""
	}
	return strconv.FormatInt(revision, 10)
}
