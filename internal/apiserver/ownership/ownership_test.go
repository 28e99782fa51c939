package ownership_test

import (
	"reflect"
	"testing"

	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"minato.dev/minato/internal/apiserver/ownership"
	"minato.dev/minato/internal/apiserver/ownership/upstream"
)

// TestParser holds the generated file to the source of the Kubernetes version that go.mod names.
func TestParser(t *testing.T) {
	want, err := upstream.Parser()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ownership.Parser()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Schema.Types) != len(want.Schema.Types) {
		t.Fatalf("%d types, upstream has %d: run go generate", len(got.Schema.Types), len(want.Schema.Types))
	}
	for i, w := range want.Schema.Types {
		if g := got.Schema.Types[i]; !reflect.DeepEqual(g, w) {
			t.Errorf("%s differs from upstream's %s: run go generate", g.Name, w.Name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	p, err := upstream.Parser()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ownership.Encode(&p.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, len(b) / 2, len(b) - 1} {
		if err := ownership.Decode(b[:n], &schema.Schema{}); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a schema", n, len(b))
		}
	}
}
