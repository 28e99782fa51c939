package apiserver

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// answerState sends one object that a write has in its hands. The state is used up.
func (c *call) answerState(code int, st *state) error {
	if c.out.Shape != negotiate.Whole || c.out.Media == negotiate.Protobuf && c.res.Storage == c.res.GVK() {
		return c.answer(code, c.res.asCached(st))
	}
	// The stored form is what every later read shows: an empty list, for one, is none there.
	if item := c.transcodedState(st, st.obj.GetResourceVersion()); item != nil && c.out.Media != negotiate.Protobuf {
		b, err := finishJSON(nameJSON(item, c.res.GVK()), c.out)
		if err != nil {
			return err
		}
		c.send(code, b)
		return nil
	}
	stored, err := c.res.DecodeStorage(st.value)
	if err != nil {
		return err
	}
	stored.SetResourceVersion(st.obj.GetResourceVersion())
	obj, err := c.res.toVersion(stored)
	if err != nil {
		return err
	}
	return c.reply(code, obj, c.res.GVK())
}

// transcodedState is a state in JSON without its kind, made of its stored bytes; nil where it has to be decoded, as what
// others have stored has to, for that may lack defaults.
func (c *call) transcodedState(st *state, version string) []byte {
	if st.revision <= c.s.suspect.Load() {
		return nil
	}
	return c.res.transcodedValue(st.value, version)
}

// asCached shows a state as the cache would.
func (r *resource) asCached(st *state) *cache.Object {
	m := st.obj.(metav1.Object)
	return cache.Lone(r.Key(m.GetNamespace(), m.GetName()), cache.Meta{Namespace: m.GetNamespace(), Name: m.GetName(), UID: string(m.GetUID()),
		Labels: m.GetLabels()}, st.revision, st.value)
}

func needsVersion(gr schema.GroupResource, name string) error {
	return apierrors.NewInvalid(schema.GroupKind{Group: gr.Group, Kind: gr.Resource}, name, field.ErrorList{
		field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update")})
}
