package patch

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api/apitest"
)

// FuzzPatches applies any bytes as each kind of patch. A patch that is accepted leaves a document that is JSON, and not
// a larger one than its parts allow.
func FuzzPatches(f *testing.F) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"a": "b"}, Finalizers: []string{"x/y"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", Env: []corev1.EnvVar{{Name: "e", Value: "v"}}}}}}
	doc, err := json.Marshal(pod)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"metadata":{"labels":{"a":null,"c":"d"}}}`, `{"spec":{"containers":[{"name":"c","image":"j"},{"name":"n"}]}}`,
		`{"spec":{"containers":[{"name":"c","$patch":"delete"}]}}`, `{"spec":{"$setElementOrder/containers":[{"name":"n"},{"name":"c"}]}}`,
		`{"metadata":{"$deleteFromPrimitiveList/finalizers":["x/y"],"$retainKeys":["name"]}}`, `{"spec":{"$patch":"replace"}}`,
		`[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/spec/containers/0"}]`,
		`[{"op":"copy","from":"","path":"/metadata/annotations"},{"op":"copy","from":"","path":"/spec/x"}]`,
		`[{"op":"test","path":"/metadata/name","value":"p"},{"op":"move","from":"/spec","path":"/status"},{"op":"replace","path":"/a~0~1","value":{}}]`,
		`[{"op":"add","path":"/spec/containers/-","value":{}},{"op":"add","path":"/spec/containers/99999999999","value":{}}]`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, strict bool) {
		if len(body) > 64<<10 || Check(body) != nil {
			return
		}
		for name, apply := range map[string]func(doc, body []byte, strict bool) ([]byte, []error, error){"JSON": JSON, "merge": Merge} {
			var out []byte
			var err error
			apitest.Bounded(t, 48<<20+8<<10*len(body), func() { out, _, err = apply(doc, body, strict) })
			if err != nil {
				continue
			}
			if !json.Valid(out) {
				t.Errorf("%s patch %q: result is not JSON: %q", name, body, out)
			}
			if len(out) > 8<<20 {
				t.Errorf("%s patch of %d bytes made %d", name, len(body), len(out))
			}
		}
		apitest.Bounded(t, 16<<20+8<<10*len(body), func() { _, _ = Strategic(pod.DeepCopy(), body, &corev1.Pod{}, strict) })
	})
}
