package apiserver

import (
	"bytes"
	"reflect"
	"strconv"
	"sync"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/transcode"
	"minato.dev/minato/internal/cache"
)

// decoration says that decoding adds to an object what is not stored, so that its bytes do not say all.
func decoration(r *api.Resource) bool { return r.Kind == "StatefulSet" }

// planOf returns what makes the plan by which stored messages of a kind are rendered in JSON, when one is first needed;
// nil where they have to be decoded.
func planOf(r *api.Resource) func() *transcode.Plan {
	return sync.OnceValue(func() *transcode.Plan {
		if !r.Stored() || r.Storage != r.GVK() || decoration(r) {
			return nil
		}
		obj, err := r.New()
		if err != nil {
			return nil
		}
		plan, err := transcode.Compile(reflect.TypeOf(obj).Elem())
		if err != nil {
			return nil // tests hold that there is a plan for every kind
		}
		return plan
	})
}

var transcodings = sync.Pool{New: func() any { return new([]byte) }}

// transcoded is a cached object in JSON without its kind, made of its bytes; nil where it has to be decoded.
func (r *resource) transcoded(o *cache.Object) []byte {
	if r.plan == nil || r.plan() == nil {
		return nil
	}
	raw, err := rawMessage(o.Value)
	if err != nil {
		return nil
	}
	scratch := transcodings.Get().(*[]byte)
	defer transcodings.Put(scratch)
	b, err := r.plan().Append((*scratch)[:0], raw, strconv.FormatInt(o.Revision, 10))
	if err != nil {
		return nil
	}
	*scratch = b
	return bytes.Clone(b)
}
