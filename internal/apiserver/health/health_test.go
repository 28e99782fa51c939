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
	done := m.Begin("WATCH", false, true)
	m.Begin("POST", true, false)()
	body := get(h, "/metrics").Body.String()
	for _, want := range []string{
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 2`,
		`apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1",le="0.05"} 2`,
		`apiserver_response_sizes_sum{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 10000`,
		`apiserver_longrunning_requests{verb="WATCH"} 1`,
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
	none.Begin("GET", false, false)()
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	r := Request{Verb: "GET", Version: "v1", Resource: "pods", Code: 200, Took: time.Millisecond}
	for b.Loop() {
		m.Observe(r)
	}
}
