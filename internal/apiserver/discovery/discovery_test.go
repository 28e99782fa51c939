package discovery

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"minato.dev/minato/internal/api"
)

const aggregatedAccept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// published is the folder of upstream's own documents in the Kubernetes module.
func published(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "api", "discovery")
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// upstream returns the group versions of upstream's documents, in their order; core first.
func upstream(t *testing.T, dir string) (gvs []GroupVersion) {
	t.Helper()
	add := func(gv schema.GroupVersion, file string) {
		var l metav1.APIResourceList
		read(t, filepath.Join(dir, file), &l)
		gvs = append(gvs, GroupVersion{gv, l.APIResources})
	}
	add(schema.GroupVersion{Version: "v1"}, "api__v1.json")
	var groups metav1.APIGroupList
	read(t, filepath.Join(dir, "apis.json"), &groups)
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			add(schema.GroupVersion{Group: g.Name, Version: v.Version}, "apis__"+g.Name+"__"+v.Version+".json")
		}
	}
	return gvs
}

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestDocumentsAreUpstreams feeds upstream's resources in and compares every document that comes out.
func TestDocumentsAreUpstreams(t *testing.T) {
	dir := published(t)
	h, err := New(upstream(t, dir), "10.10.10.10:8050")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 50 {
		t.Fatal(err, len(files))
	}
	for _, f := range files {
		path, accept := "/"+strings.ReplaceAll(strings.TrimSuffix(filepath.Base(f), ".json"), "__", "/"), "application/json"
		if path == "/aggregated_v2" {
			path, accept = "/apis", aggregatedAccept
		}
		if !h.Serves(path) {
			t.Errorf("%s is not served", path)
			continue
		}
		w := get(t, h, path, "Accept", accept)
		var got, want any
		read(t, f, &want)
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

// TestTablesAgree compares the tables of the API with upstream's resources: every one that we serve is as upstream's.
func TestTablesAgree(t *testing.T) {
	want := map[string]metav1.APIResource{}
	for _, gv := range upstream(t, published(t)) {
		for _, r := range gv.Resources {
			want[gv.String()+" "+r.Name] = r
		}
	}
	for _, r := range api.All() {
		w, ok := want[r.GroupVersion.String()+" "+r.Name]
		if !ok {
			t.Errorf("%s %s: upstream has none", r.GroupVersion, r.Name)
			continue
		}
		got := metav1.APIResource{Name: r.Name, SingularName: r.Singular, Namespaced: r.Namespaced, Kind: r.Kind, Verbs: r.Verbs, ShortNames: r.ShortNames,
			Categories: r.Categories, StorageVersionHash: w.StorageVersionHash}
		if d := cmp.Diff(w, got); d != "" {
			t.Errorf("%s %s: %s", r.GroupVersion, r.Name, d)
		}
		for _, s := range r.Subresources {
			if _, ok := want[r.GroupVersion.String()+" "+r.Name+"/"+s.Name]; !ok {
				t.Errorf("%s %s/%s: upstream has none", r.GroupVersion, r.Name, s.Name)
			}
		}
	}
}

func small(t *testing.T) *Handler {
	t.Helper()
	h, err := New([]GroupVersion{
		{schema.GroupVersion{Version: "v1"}, []metav1.APIResource{{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: metav1.Verbs{"get"}}}},
		{schema.GroupVersion{Group: "apps", Version: "v1"}, nil},
	}, "host:1")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNegotiation(t *testing.T) {
	h := small(t)
	const pb = "application/vnd.kubernetes.protobuf"
	for _, c := range []struct{ path, accept, contentType string }{
		{"/api", "", "application/json"},
		{"/api/", "*/*", "application/json"},
		{"/api/v1", "application/yaml", "application/yaml"},
		{"/apis", pb, pb},
		{"/apis", aggregatedAccept, aggregatedAccept},
		{"/api", aggregatedAccept + ",application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", aggregatedAccept},
		{"/apis", pb + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", pb + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		{"/apis", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", "application/json"},
		{"/apis", "application/json," + aggregatedAccept, "application/json"},
		{"/apis/apps/v1", aggregatedAccept + ",application/json", "application/json"},
	} {
		w := get(t, h, c.path, "Accept", c.accept)
		if w.Code != 200 || w.Header().Get("Content-Type") != c.contentType {
			t.Errorf("%s %q: %d %s", c.path, c.accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := get(t, h, "/apis", "Accept", "text/plain"); w.Code != 406 || !strings.Contains(w.Body.String(), `"reason":"NotAcceptable"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(t, h, "/apis/none"); w.Code != 404 || h.Serves("/apis/none") {
		t.Error(w.Code)
	}
	r := httptest.NewRequest("POST", "/api", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 405 {
		t.Error(w.Code)
	}
}

func TestETag(t *testing.T) {
	h := small(t)
	first := get(t, h, "/apis", "Accept", aggregatedAccept)
	etag := first.Header().Get("ETag")
	if w := get(t, h, "/apis", "Accept", aggregatedAccept, "If-None-Match", etag); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("%d", w.Code)
	}
	if err := h.Set([]GroupVersion{{schema.GroupVersion{Group: "new.example.com", Version: "v1"}, nil}}); err != nil {
		t.Fatal(err)
	}
	if w := get(t, h, "/apis", "Accept", aggregatedAccept, "If-None-Match", etag); w.Code != 200 || !strings.Contains(w.Body.String(), "new.example.com") {
		t.Errorf("after Set: %d %s", w.Code, w.Body)
	}
	if h.Serves("/apis/apps") {
		t.Error("a removed group is still served")
	}
}

func TestProtobufDecodes(t *testing.T) {
	h := small(t)
	known := runtime.NewScheme()
	metav1.AddToGroupVersion(known, schema.GroupVersion{Version: "v1"})
	if err := apidiscoveryv2.AddToScheme(known); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(known)
	for path, accept := range map[string]string{"/apis": "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
		"/apis/apps/v1": "application/vnd.kubernetes.protobuf"} {
		obj, _, err := codecs.UniversalDeserializer().Decode(get(t, h, path, "Accept", accept).Body.Bytes(), nil, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		switch o := obj.(type) {
		case *apidiscoveryv2.APIGroupDiscoveryList:
			if len(o.Items) != 1 || o.Items[0].Name != "apps" {
				t.Error(o)
			}
		case *metav1.APIResourceList:
			if o.GroupVersion != "apps/v1" {
				t.Error(o)
			}
		default:
			t.Errorf("%s: %T", path, obj)
		}
	}
}

func TestCompression(t *testing.T) {
	h, err := New(upstream(t, published(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	w := get(t, h, "/apis", "Accept", aggregatedAccept, "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal("not compressed")
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if plain := get(t, h, "/apis", "Accept", aggregatedAccept).Body.String(); err != nil || string(body) != plain {
		t.Error("not the same", err)
	}
}

func TestTwice(t *testing.T) {
	gv := GroupVersion{GroupVersion: schema.GroupVersion{Group: "a", Version: "v1"}}
	if _, err := New([]GroupVersion{gv, gv}, ""); err == nil {
		t.Error("no error")
	}
}
