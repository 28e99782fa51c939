package negotiate

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		accept, agent string
		want          Output
		ok            bool
	}{
		{"", "", Output{Media: JSON}, true},
		{"*/*", "curl/8", Output{Media: JSON, Pretty: true}, true},
		{"application/vnd.kubernetes.protobuf,application/json", "", Output{Media: Protobuf}, true},
		{"application/*", "", Output{Media: JSON}, true},
		{"text/html", "", Output{}, false},
		{"text/html, application/yaml;q=0.5", "", Output{Media: YAML}, true},
		{"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "", Output{Media: JSON, Shape: Table, Version: "v1"}, true},
		{"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io, application/json", "", Output{Media: JSON}, true},
		{"application/json;as=Table;v=v9;g=meta.k8s.io", "", Output{}, false},
		{"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "", Output{Media: JSON, Shape: Metas, Version: "v1"}, true},
		{"application/json;as=Poem;v=v1;g=meta.k8s.io, */*", "", Output{Media: JSON}, true},
		{"application/json;pretty=1", "", Output{Media: JSON, Pretty: true}, true},
	} {
		r, err := http.NewRequest("GET", "/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", c.accept)
		r.Header.Set("User-Agent", c.agent)
		got, err := Choose(r, true)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: %+v %v, want %+v", c.accept, got, err, c.want)
		}
	}
}

func TestInput(t *testing.T) {
	for ct, want := range map[string]Media{"": JSON, "application/json; charset=utf-8": JSON, "application/yaml": YAML,
		"application/vnd.kubernetes.protobuf": Protobuf, "application/merge-patch+json": "", "text/plain": ""} {
		r, err := http.NewRequest("POST", "/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", ct)
		if got, err := Input(r); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", ct, got, err)
		}
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	f.Add(";;,=")
	f.Fuzz(func(t *testing.T, accept string) {
		o, ok := choose(accept, true)
		if ok && o.Media == "" {
			t.Error("chose nothing")
		}
	})
}

func TestJSONOnly(t *testing.T) {
	for accept, ok := range map[string]bool{"": true, "application/json": true, "*/*": true, "application/yaml": false, "application/yaml, application/*;q=0.1": true,
		"text/html": false, "application/json;as=Table;v=v1;g=meta.k8s.io": true} {
		r := httptest.NewRequest("GET", "/version", nil)
		r.Header.Set("Accept", accept)
		if err := JSONOnly(r); (err == nil) != ok {
			t.Errorf("%q: %v", accept, err)
		}
	}
}
