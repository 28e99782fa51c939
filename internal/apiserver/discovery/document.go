package discovery

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"

	"minato.dev/minato/internal/apiserver/negotiate"
)

// wire encodes the kinds of this package.
var wire = sync.OnceValue(func() runtime.Encoder {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	if err := apidiscoveryv2.AddToScheme(s); err != nil {
		panic(fmt.Sprintf("discovery: build the scheme: %v", err)) // our own list is broken
	}
	return protobuf.NewSerializer(s, s)
})

// document is one object that is rendered once in each form that is asked for.
type document struct {
	obj  runtime.Object
	json func() (rendered, error)
	yaml func() (rendered, error)
	pb   func() (rendered, error)
	etag func() (string, error)
}

// rendered is a body, and the same compressed.
type rendered struct{ body, gzip []byte }

func newDocument(obj runtime.Object) *document {
	d := &document{obj: obj}
	once := func(encode func() ([]byte, error)) func() (rendered, error) {
		return sync.OnceValues(func() (rendered, error) {
			body, err := encode()
			if err != nil {
				return rendered{}, fmt.Errorf("discovery: encode %T: %w", obj, err)
			}
			return rendered{body, compress(body)}, nil
		})
	}
	d.json = once(d.encodeJSON)
	d.yaml = once(func() ([]byte, error) { return yaml.Marshal(obj) })
	d.pb = once(func() ([]byte, error) {
		return runtime.Encode(wire(), obj)
	})
	d.etag = sync.OnceValues(func() (string, error) {
		hashed := obj
		if l, ok := obj.(*apidiscoveryv2.APIGroupDiscoveryList); ok { // as upstream does, without the kind
			hashed = &apidiscoveryv2.APIGroupDiscoveryList{ListMeta: l.ListMeta, Items: l.Items}
		}
		j, err := json.Marshal(hashed)
		return fmt.Sprintf(`"%X"`, sha512.Sum512(j)), err
	})
	return d
}

func (d *document) encodeJSON() ([]byte, error) {
	body, err := json.Marshal(d.obj)
	return append(body, '\n'), err
}

func (d *document) in(m negotiate.Media) (rendered, error) {
	switch m {
	case negotiate.Protobuf:
		return d.pb()
	case negotiate.YAML:
		return d.yaml()
	}
	return d.json()
}

// compress returns nil for what is too short to be worth it.
func compress(body []byte) []byte {
	const worth = 4 << 10
	if len(body) < worth {
		return nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body) // a buffer takes everything
	z.Close()
	return b.Bytes()
}
