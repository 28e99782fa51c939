package differential

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"

	"minato.dev/minato/internal/api"
)

// decode turns a body into JSON values, whichever way it is written. A stream becomes a list.
func decode(contentType string, raw []byte) (any, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || len(raw) == 0 {
		return string(raw), nil
	}
	switch {
	case media == "application/json" && params["stream"] == "watch":
		return jsonStream(raw)
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return jsonValue(raw)
	case media == "application/yaml":
		j, err := yaml.YAMLToJSON(raw)
		if err != nil {
			return nil, err
		}
		return jsonValue(j)
	case media == "application/vnd.kubernetes.protobuf" && params["stream"] == "watch":
		return protobufStream(raw)
	case media == "application/vnd.kubernetes.protobuf":
		return protobufValue(raw)
	}
	return string(raw), nil
}

// jsonValue keeps numbers as they are written.
func jsonValue(raw []byte) (v any, err error) {
	values, err := jsonStream(raw)
	if err != nil || len(values) != 1 {
		return values, err
	}
	return values[0], nil
}

func jsonStream(raw []byte) (out []any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// decoding knows every kind that a server answers with: those of the API and the metadata of any.
var decoding = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for gvk, t := range api.Scheme().AllKnownTypes() {
		if obj, ok := reflect.New(t).Interface().(runtime.Object); ok {
			s.AddKnownTypeWithName(gvk, obj)
		}
	}
	if err := metav1.AddMetaToScheme(s); err != nil {
		panic(err) // it is asked for once
	}
	return s
}()

// protobufValue decodes an object in its envelope.
func protobufValue(raw []byte) (any, error) {
	obj, _, err := protobuf.NewSerializer(decoding, decoding).Decode(raw, nil, nil)
	if err != nil {
		return nil, err
	}
	return asJSON(obj)
}

func asJSON(obj runtime.Object) (any, error) {
	j, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	return jsonValue(j)
}

// protobufStream decodes watch events, each behind its length.
func protobufStream(raw []byte) (out []any, err error) {
	for len(raw) > 4 {
		n := binary.BigEndian.Uint32(raw)
		if raw = raw[4:]; int(n) > len(raw) {
			return out, fmt.Errorf("a frame of %d bytes is cut at %d", n, len(raw))
		}
		var e metav1.WatchEvent
		if err := e.Unmarshal(raw[:n]); err != nil {
			return out, err
		}
		raw = raw[n:]
		obj, err := protobufValue(e.Object.Raw)
		if err != nil {
			return out, err
		}
		out = append(out, map[string]any{"type": e.Type, "object": obj})
	}
	return out, nil
}
