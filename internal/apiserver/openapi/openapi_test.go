package openapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"

	"minato.dev/minato/internal/apiserver/openapi/spec"
)

func handler(t *testing.T, served func(string) bool) *Handler {
	t.Helper()
	h, err := New(served)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h *Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestFilesAreTheModules compares what is embedded with the module's documents, cut to what is served.
func TestFilesAreTheModules(t *testing.T) {
	docs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	h, want := handler(t, nil), docs.Index()
	if h.v2.hash != want.V2 || get(t, h, "/openapi/v2").Body.String() != string(docs.V2) {
		t.Error("v2 differs: run go generate")
	}
	if len(h.v3) != len(want.V3) {
		t.Errorf("%d documents, want %d: run go generate", len(h.v3), len(want.V3))
	}
	for path, data := range docs.V3 {
		if h.v3[path] == nil || h.v3[path].hash != want.V3[path] || get(t, h, "/openapi/v3/"+path).Body.String() != string(data) {
			t.Errorf("%s differs: run go generate", path)
		}
	}
}

func TestV2IsWhole(t *testing.T) {
	var doc struct {
		Paths       map[string]any
		Definitions map[string]any
	}
	body := get(t, handler(t, nil), "/openapi/v2").Body.Bytes()
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/api/v1/namespaces/{namespace}/pods", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "/version/"} {
		if doc.Paths[p] == nil {
			t.Errorf("no path %s", p)
		}
	}
	for p := range doc.Paths {
		if strings.Contains(p, "alpha") || strings.Contains(p, "beta") {
			t.Errorf("path %s is not served", p)
		}
	}
	for _, d := range []string{"io.k8s.api.core.v1.PodSpec", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.api.apps.v1.Deployment"} {
		if doc.Definitions[d] == nil {
			t.Errorf("no definition %s", d)
		}
	}
	refs := strings.Split(string(body), `"$ref":"#/definitions/`)
	for _, r := range refs[1:] {
		if name, _, _ := strings.Cut(r, `"`); doc.Definitions[name] == nil {
			t.Errorf("%s is referred to and missing", name)
		}
	}
}

func TestListFollowsWhatIsServed(t *testing.T) {
	h := handler(t, func(p string) bool { return p == "apis/apps/v1" || p == "version" })
	w := get(t, h, "/openapi/v3")
	var l struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || len(l.Paths) != 2 {
		t.Fatal(err, w.Body)
	}
	url := l.Paths["apis/apps/v1"].ServerRelativeURL
	if w := get(t, h, url); w.Code != 200 || w.Header().Get("Cache-Control") != "public, immutable" || w.Header().Get("Expires") == "" {
		t.Errorf("%s: %d %v", url, w.Code, w.Header())
	}
	if w := get(t, h, "/openapi/v3/apis/apps/v1?hash=OLD"); w.Code != 301 || w.Header().Get("Location") != url {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
	if w := get(t, h, "/openapi/v3/api/v1"); w.Code != 404 {
		t.Error(w.Code)
	}
	if w := get(t, h, "/openapi/v3", "If-None-Match", w.Header().Get("Etag")); w.Code != 304 {
		t.Error(w.Code)
	}
}

func TestForms(t *testing.T) {
	h := handler(t, nil)
	const pb2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
	for _, c := range []struct {
		path, accept, contentType string
		code                      int
	}{
		{"/openapi/v2", "", "application/json", 200},
		{"/openapi/v2", "*/*", "application/json", 200},
		{"/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", pb2, 200},
		{"/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf,application/json", pb2, 200},
		{"/openapi/v3/version", "application/json", "application/json", 200},
		{"/openapi/v3/version", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", 200},
		{"/openapi/v2", "text/html", "", 406},
	} {
		w := get(t, h, c.path, "Accept", c.accept)
		if w.Code != c.code || w.Header().Get("Content-Type") != c.contentType {
			t.Errorf("%s %q: %d %s", c.path, c.accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	var v2 openapi_v2.Document
	if err := proto.Unmarshal(get(t, h, "/openapi/v2", "Accept", pb2).Body.Bytes(), &v2); err != nil || len(v2.Definitions.AdditionalProperties) < 500 {
		t.Error(err)
	}
	var v3 openapi_v3.Document
	if err := proto.Unmarshal(get(t, h, "/openapi/v3/apis/apps/v1", "Accept", v3Forms[1].contentType).Body.Bytes(), &v3); err != nil || v3.Components == nil {
		t.Error(err)
	}
}

func TestCompressedAsStored(t *testing.T) {
	h := handler(t, nil)
	w := get(t, h, "/openapi/v3/apis/apps/v1", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal("not compressed")
	}
	plain, err := expand(w.Body.Bytes())
	if err != nil || string(plain) != get(t, h, "/openapi/v3/apis/apps/v1").Body.String() {
		t.Error("not the same", err)
	}
}

func TestSizeStaysSmall(t *testing.T) {
	total := 0
	for _, d := range append([]*document{handler(t, nil).v2}, values(handler(t, nil).v3)...) {
		data, err := files.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
	}
	if total > 1600<<10 {
		t.Errorf("%d bytes are embedded", total)
	}
}

func values(m map[string]*document) (out []*document) {
	for _, d := range m {
		out = append(out, d)
	}
	return out
}
