package apiserver

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/cache"
)

// managedFields is ObjectMeta's field of that name.
const managedFields = 17

// light decodes a cached object into this version, with its resourceVersion and without managedFields, which are a third
// of a Pod. Stored messages are read around them. The result is the caller's own.
func (r *resource) light(o *cache.Object) (runtime.Object, error) {
	if r.Storage == r.GVK() && !decoration(r.Resource) {
		if obj, ok, err := r.lightMessage(o); ok || err != nil {
			return obj, err
		}
	}
	obj, err := r.served(o)
	if err != nil {
		return nil, err
	}
	if m, ok := obj.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	return obj, nil
}

// lightMessage is light for protobuf; ok is false for other values. What is stored has all defaults (see writer.go).
func (r *resource) lightMessage(o *cache.Object) (obj runtime.Object, ok bool, err error) {
	err = o.ReadValue(func(value []byte) (err error) {
		obj, ok, err = r.lightOf(value)
		return err
	})
	if ok {
		obj.(metav1.Object).SetResourceVersion(strconv.FormatInt(o.Revision, 10))
	}
	return obj, ok, err
}

func (r *resource) lightOf(value []byte) (obj runtime.Object, ok bool, err error) {
	raw, err := rawMessage(value)
	if err != nil {
		return nil, false, nil // decoding as usual tells what is wrong with it
	}
	if obj, err = r.New(); err != nil {
		return nil, false, err
	}
	message, decodes := obj.(interface{ Unmarshal([]byte) error })
	holder, hasMeta := obj.(metav1.ObjectMetaAccessor)
	if !decodes || !hasMeta {
		return nil, false, nil
	}
	meta, is := holder.GetObjectMeta().(*metav1.ObjectMeta)
	if !is {
		return nil, false, nil
	}
	nothing := func([]byte) error { return nil }
	if err := without(raw, 1, message.Unmarshal, func(m []byte) error { return without(m, managedFields, meta.Unmarshal, nothing) }); err != nil {
		return nil, false, err
	}
	obj.GetObjectKind().SetGroupVersionKind(r.GVK())
	return obj, true, nil
}
