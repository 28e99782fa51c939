package health

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/version"
)

func get(h *Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestChecks(t *testing.T) {
	sick := errors.New("disk on fire")
	var etcd error
	h := New([]Check{{Name: "etcd", Live: true, Check: func(context.Context) error { return etcd }}, {Name: "informers", Check: func(context.Context) error { return nil }}}, nil)
	for _, c := range []struct {
		path string
		etcd error
		code int
		body string
	}{
		{"/healthz", nil, 200, "ok"},
		{"/livez", nil, 200, "ok"},
		{"/readyz", nil, 200, "ok"},
		{"/healthz?verbose", nil, 200, "[+]ping ok\n[+]etcd ok\n[+]informers ok\nhealthz check passed\n"},
		{"/livez?verbose=1", nil, 200, "[+]ping ok\n[+]etcd ok\nlivez check passed\n"},
		{"/readyz", sick, 500, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]informers ok\nreadyz check failed\n"},
		{"/readyz?exclude=etcd", sick, 200, "ok"},
		{"/readyz?exclude=etcd&exclude=x&verbose", sick, 200, "[+]ping ok\n[+]etcd excluded: ok\n[+]informers ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n"},
		{"/readyz/etcd", sick, 500, "internal server error: disk on fire\n"},
		{"/readyz/etcd", nil, 200, "ok"},
		{"/livez/ping", sick, 200, "ok"},
		{"/livez/informers", nil, 404, "404 page not found\n"},
	} {
		etcd = c.etcd
		if w := get(h, c.path); w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%s: %d %q", c.path, w.Code, w.Body)
		}
	}
}

func TestServes(t *testing.T) {
	h := New(nil, NewMetrics())
	for path, want := range map[string]bool{"/healthz": true, "/livez/": false, "/metrics": true, "/version": true, "/version/": true,
		"/debug/pprof/heap": true, "/debug/pprof": true, "/api": false, "/": false, "/healthz/none": false} {
		if h.Serves(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("POST", "/healthz", nil)); w.Code != 200 {
		t.Error(w.Code)
	}
	if w := get(h, "/debug/pprof/goroutine?debug=1"); w.Code != 200 {
		t.Error(w.Code)
	}
}

func TestVersion(t *testing.T) {
	var v version.Info
	if err := json.Unmarshal(get(New(nil, nil), "/version").Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if v.Major != "1" || v.Minor != "37" || !strings.HasPrefix(v.GitVersion, "v1.37.2+minato.") {
		t.Errorf("%+v", v)
	}
}

func TestMetrics(t *testing.T) {
	m := NewMetrics()
	h := New(nil, m)
	r := Request{Verb: "LIST", Version: "v1", Resource: "pods", Scope: "cluster", Component: "apiserver", Code: 200, Bytes: 5000, Took: 30 * time.Millisecond}
	m.Observe(r)
	m.Observe(r)
	done := m.BeginLong(Request{Verb: "WATCH", Version: "v1", Resource: "pods", Scope: "namespace", Component: "apiserver"})
	m.Begin(true)()
	m.Authenticated("success", "jane@example.org", time.Millisecond)
	m.Authorized("allowed", time.Millisecond)
	m.Certificate(time.Now().Add(10 * time.Hour))
	m.Admitted("admit", "CREATE", false, time.Millisecond)
	m.Stored("create", "apps", "deployments", time.Millisecond, errors.New("no room"))
	m.Terminated(Request{Verb: "GET", Code: 504})
	if err := m.Follow(func() []Stock {
		return []Stock{{Version: "v1", Resource: "endpoints", Stored: true, Objects: 3, Revision: 70, Sent: 9, Deprecated: true}}
	}); err != nil {
		t.Fatal(err)
	}
	body := get(h, "/metrics").Body.String()
	for _, want := range []string{
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 2`,
		`apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1",le="0.05"} 2`,
		`apiserver_response_sizes_sum{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 10000`,
		`apiserver_request_sli_duration_seconds_count{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 2`,
		`apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="namespace",subresource="",verb="WATCH",version="v1"} 1`,
		`authentication_attempts{result="success"} 1`, `authenticated_user_requests{username="email_id"} 1`, `authorization_attempts_total{result="allowed"} 1`,
		`apiserver_client_certificate_expiration_seconds_bucket{le="43200"} 1`,
		`apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"} 1`,
		`etcd_requests_total{group="apps",operation="create",resource="deployments"} 1`, `etcd_request_errors_total{group="apps",operation="create",resource="deployments"} 1`,
		`apiserver_resource_objects{group="",resource="endpoints"} 3`, `apiserver_watch_cache_resource_version{group="",resource="endpoints"} 70`,
		`apiserver_watch_events_total{group="",resource="endpoints",version="v1"} 9`,
		`apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1`,
		`version_info{binary="1.37.2",component="kube",emulation="1.37",min_compat="1.36"} 1`,
		`apiserver_current_inflight_requests{request_kind="mutating"} 0`,
		`kubernetes_build_info{`, `process_resident_memory_bytes`, `go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	done()
	var none *Metrics
	none.Observe(r)
	none.Begin(false)()
	none.BeginLong(r)()
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	r := Request{Verb: "GET", Version: "v1", Resource: "pods", Code: 200, Took: time.Millisecond}
	for b.Loop() {
		m.Observe(r)
	}
}

func TestSizeClass(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 0, 1024: 0, 1025: 1, 2048: 1, 2049: 2, 128 << 10: 7, 128<<10 + 1: 8, 1 << 30: 8} {
		if got := SizeClass(n); got != want {
			t.Errorf("%d bytes: class %d, want %d", n, got, want)
		}
	}
}

func TestSLIs(t *testing.T) {
	h := New([]Check{{Name: "etcd", Check: func(context.Context) error { return errors.New("gone") }}}, nil)
	get(h, "/readyz")
	body := get(h, "/metrics/slis").Body.String()
	for _, want := range []string{`kubernetes_healthcheck{name="ping",type="livez"} 1`, `kubernetes_healthcheck{name="etcd",type="readyz"} 0`,
		`kubernetes_healthchecks_total{name="etcd",status="error",type="readyz"} 2`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestPages(t *testing.T) {
	h := New(nil, nil)
	h.AddPages(time.Now().Add(-3*time.Hour-5*time.Minute), map[string]string{"profiling": "true", "a": "b"})
	for _, c := range []struct {
		path, accept, media, body string
		code                      int
	}{
		{"/statusz", "", "text/plain; charset=utf-8", "\nUp: 3 hr 05 min 0", 200},
		{"/statusz", "*/*", "text/plain; charset=utf-8", "Paths: /flagz /healthz /livez /metrics /readyz /statusz /version\n", 200},
		{"/flagz", "text/html, text/plain;q=0.5", "text/plain; charset=utf-8", "purposes only.\na: b\nprofiling: true\n", 200},
		{"/flagz", "application/json;v=v1beta1;g=config.k8s.io;as=Flagz", "application/json;g=config.k8s.io;v=v1beta1;as=Flagz", `"flags":{"a":"b","profiling":"true"}`, 200},
		{"/statusz", "application/yaml;v=v1alpha1;g=config.k8s.io;as=Statusz", "application/yaml;g=config.k8s.io;v=v1alpha1;as=Statusz", "binaryVersion: 1.37.2\n", 200},
		{"/statusz", "application/json", "application/json", "only the following media types are accepted", 406},
		{"/statusz", "application/json;v=v1beta1;g=config.k8s.io;as=Flagz", "application/json", "NotAcceptable", 406},
		{"/flagz", "application/yaml", "application/yaml", "reason: NotAcceptable\n", 406},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("Accept", c.accept)
		h.ServeHTTP(w, r)
		if w.Code != c.code || w.Header().Get("Content-Type") != c.media || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s as %q: %d %s %s", c.path, c.accept, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if deprecated := w.Header().Get("Warning") != ""; deprecated != strings.Contains(c.accept, "alpha") {
			t.Errorf("%s as %q: warning %q", c.path, c.accept, w.Header().Get("Warning"))
		}
	}
}
