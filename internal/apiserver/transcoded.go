package apiserver

import (
	"bytes"
	"reflect"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
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

// metaPlanOf is planOf for what of an object is a PartialObjectMetadata.
func metaPlanOf(r *api.Resource) func() *transcode.Plan {
	return sync.OnceValue(func() *transcode.Plan {
		if !r.Stored() || r.Kind == "DaemonSet" || decoration(r) { // see hideTemplateGeneration
			return nil
		}
		plan, err := transcode.Compile(reflect.TypeFor[metav1.PartialObjectMetadata]())
		if err != nil {
			return nil // tests hold that there is one
		}
		return plan
	})
}

var transcodings = sync.Pool{New: func() any { return new([]byte) }}

// transcoded is a cached object in JSON without its kind, made of its bytes; nil where it has to be decoded.
func (r *resource) transcoded(o *cache.Object) []byte {
	var out []byte
	_ = o.ReadValue(func(value []byte) error {
		out = r.transcodedValue(value, strconv.FormatInt(o.Revision, 10))
		return nil
	})
	return out
}

// appendTranscoded is transcoded appended to b; not ok where it has to be decoded.
func (r *resource) appendTranscoded(b []byte, o *cache.Object) (out []byte, ok bool) {
	if r.plan == nil || r.plan() == nil {
		return b, false
	}
	err := o.ReadValue(func(value []byte) error {
		raw, err := rawMessage(value)
		if err != nil {
			return err
		}
		out, err = r.plan().Append(b, raw, strconv.FormatInt(o.Revision, 10))
		return err
	})
	return out, err == nil
}

// transcodedValue is a stored value in JSON without its kind, shown with this resourceVersion; nil where it has to be decoded.
func (r *resource) transcodedValue(value []byte, version string) []byte {
	if r.plan == nil || r.plan() == nil {
		return nil
	}
	raw, err := rawMessage(value)
	if err != nil {
		return nil
	}
	return transcodeWith(r.plan(), raw, version)
}

// appendTranscodedMetadata appends what of a cached object goes with its row, made of its bytes; not ok where it has to be decoded.
func (r *resource) appendTranscodedMetadata(b []byte, o *cache.Object, version string) (out []byte, ok bool) {
	if r.metaPlan == nil || r.metaPlan() == nil {
		return b, false
	}
	err := o.ReadValue(func(value []byte) error {
		raw, err := rawMessage(value)
		if err == nil {
			out, ok = r.appendMetadata(b, raw, strconv.FormatInt(o.Revision, 10), version)
		}
		return err
	})
	return out, ok && err == nil
}

func (r *resource) appendMetadata(b, raw []byte, resourceVersion, version string) (out []byte, ok bool) {
	metas, begin, size := 0, 0, 0
	for at := 0; at < len(raw); {
		number, value, n, err := nextField(raw[at:])
		if err != nil {
			return b, false
		}
		if number == 1 && value != nil {
			metas, begin, size = metas+1, at, n
		}
		at += n
	}
	if metas != 1 {
		return b, false
	}
	out = append(append(append(b, `{"kind":"`+string(negotiate.Metadata)+`","apiVersion":"meta.k8s.io/`...), version...), '"')
	brace := len(out) // where the plan's own object begins
	out, err := r.metaPlan().Append(out, raw[begin:begin+size], resourceVersion)
	if err != nil {
		return b, false
	}
	out[brace] = ','
	return out, true
}

// transcodeWith renders a message.
func transcodeWith(plan *transcode.Plan, raw []byte, resourceVersion string) []byte {
	scratch := transcodings.Get().(*[]byte)
	defer transcodings.Put(scratch)
	b, err := plan.Append((*scratch)[:0], raw, resourceVersion)
	if err != nil {
		return nil
	}
	*scratch = b
	return bytes.Clone(b)
}
