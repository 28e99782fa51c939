package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"minato.dev/minato/internal/apiserver/negotiate"
)

// protoMessage is what every built-in kind's Go type can do.
type protoMessage interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

// encodeWhole writes an object that has been built for this one answer, named gvk.
func encodeWhole(obj runtime.Object, gvk schema.GroupVersionKind, out negotiate.Output) ([]byte, error) {
	if out.Media == negotiate.Protobuf {
		return encodeProtobuf(obj, gvk)
	}
	item, err := encodeItem(obj)
	if err != nil {
		return nil, err
	}
	return finishJSON(nameJSON(item, gvk), out)
}

func encodeProtobuf(obj runtime.Object, gvk schema.GroupVersionKind) ([]byte, error) {
	m, ok := obj.(protoMessage)
	if !ok {
		return nil, fmt.Errorf("%s has no protobuf form", gvk.Kind)
	}
	size := m.Size()
	b := appendUnknown(make([]byte, 0, size+160), gvk, size)
	b = append(b, make([]byte, size)...)
	if _, err := m.MarshalToSizedBuffer(b[len(b)-size:]); err != nil {
		return nil, err
	}
	return append(b, unknownTail...), nil
}

// encodeItem renders obj in JSON without kind and apiVersion, as in lists, and without a newline.
func encodeItem(obj runtime.Object) ([]byte, error) {
	// The type's name must be away while it is rendered; obj belongs to the caller alone.
	kind := obj.GetObjectKind().GroupVersionKind()
	if !kind.Empty() {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		defer obj.GetObjectKind().SetGroupVersionKind(kind)
	}
	return json.Marshal(obj)
}

// nameJSON puts kind and apiVersion in front of an item's fields.
func nameJSON(item []byte, gvk schema.GroupVersionKind) []byte {
	b := make([]byte, 0, len(item)+len(gvk.Kind)+len(gvk.Group)+len(gvk.Version)+32)
	b = append(b, `{"kind":"`...)
	b = append(b, gvk.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, gvk.GroupVersion().String()...)
	b = append(b, '"')
	if len(item) > 2 {
		b = append(b, ',')
	}
	return append(b, item[1:]...)
}

// finishJSON turns compact JSON into what was asked for: with a newline, indented, or YAML.
func finishJSON(b []byte, out negotiate.Output) ([]byte, error) {
	if out.Media == negotiate.YAML {
		return yaml.JSONToYAML(b)
	}
	if out.Pretty {
		var buf bytes.Buffer
		if err := json.Indent(&buf, b, "", "  "); err != nil {
			return nil, err
		}
		// Upstream's pretty form has no newline at its end.
		return buf.Bytes(), nil
	}
	return append(b, '\n'), nil
}

// gzipFrom is the size from which a body is worth compressing.
const gzipFrom = 128 << 10

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return z
}}

func acceptsGzip(r *http.Request) bool {
	for _, a := range r.Header["Accept-Encoding"] {
		for _, e := range strings.Split(a, ",") {
			if strings.TrimSpace(e) == "gzip" {
				return true
			}
		}
	}
	return false
}

// writeBody sends a whole body, compressed where that pays. A failed write means that the client has gone.
func writeBody(w http.ResponseWriter, r *http.Request, code int, mediaType string, parts ...[]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	if code == http.StatusNoContent || r.Method == http.MethodHead {
		w.WriteHeader(code)
		return
	}
	if size > gzipFrom && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		w.WriteHeader(code)
		z := gzips.Get().(*gzip.Writer)
		defer gzips.Put(z)
		z.Reset(w)
		for _, p := range parts {
			if _, err := z.Write(p); err != nil {
				return
			}
		}
		_ = z.Close()
		return
	}
	h.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(code)
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return
		}
	}
}
