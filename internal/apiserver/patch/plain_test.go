package patch

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// FuzzPlainJSON holds what is read the short way to what YAML makes of it.
func FuzzPlainJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[true,null,"x"],"c":{"d":"e"}}`, "{\"a\": -7,\n \"b\": \"\\n\\u003c\\\"\\\\\"}", `{"<<":{"a":1}}`, `{"a":1,"a":2}`,
		`{"a":1.5}`, `{"a":1e3}`, `{"a":"1e3","b":"yes","c":"0x10","d":"2020-01-01","e":"~"}`, `{"a" :1}`, "{\"a\"\n:1}", `{"a":01}`, `{"a":-0}`, `{"a":123456789012345678}`,
		`{"a":"é"}`, `{"a":"\u00e9"}`, `{"a":"\/"}`, "{\"a\":\t1}", `{"a":yes}`, `{a:1}`, `{"a":"x" "y"}`, `{"a":1}{"b":2}`, `{"a":1} x`, `null`, `[]`, ``, `{"a":"\u0000"}`,
		`{"a":[],"b":{},"c":[[]]}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":?}`, `{"a":|}`, `{"a":%}`, "{\"a\":1}\n---\n{\"b\":2}", "{\"a\":1}\n...\n", `{"a":"x: y","b":"- z","c":"# no"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, ok := PlainJSON(body)
		if !ok {
			return
		}
		var slow map[string]any
		if err := yaml.UnmarshalStrict(body, &slow); err != nil {
			t.Fatalf("YAML refuses %q: %v", body, err)
		}
		if !reflect.DeepEqual(quick, slow) {
			t.Fatalf("%q: %#v, YAML %#v", body, quick, slow)
		}
		if _, err := yaml.ToJSON(body); err != nil {
			t.Fatalf("YAML refuses %q: %v", body, err)
		}
	})
}

func TestPlainJSONTakesWhatProgramsSend(t *testing.T) {
	for _, s := range []string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"app":"b"}},"data":{"x":"\u003cb\u003e\n"}}`, "{\"a\": {\"b\": [1, -2, true]}}\n"} {
		if _, ok := PlainJSON([]byte(s)); !ok {
			t.Errorf("%s was left to YAML", s)
		}
	}
}
