package apiserver

import (
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"

	"minato.dev/minato/internal/apiserver/health"
)

// account is what metrics say of a request. ok is false for requests that are not counted: each set of labels is kept for
// ever, so none may be made of what a client has chosen freely, such as a group that is not served.
func (s *Server) account(info *request.RequestInfo, r *http.Request) (h health.Request, ok bool) {
	if !info.IsResourceRequest {
		at := countedPath(info.Path)
		return health.Request{Verb: countedMethod(r.Method), Subresource: at}, at != ""
	}
	res := s.resources[schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}]
	if res == nil || info.Subresource != "" && res.Sub(info.Subresource) == nil {
		return h, false
	}
	h = health.Request{Verb: countedVerb(info, r), Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource,
		Subresource: info.Subresource, Scope: "cluster", Component: "apiserver", DryRun: countedDryRun(r)}
	switch {
	case info.Name != "":
		h.Scope = "resource"
	case info.Namespace != "":
		h.Scope = "namespace"
	}
	if res.deprecated != "" && !res.asked.Load() {
		res.asked.Store(true)
	}
	return h, true
}

// countedPath is the part of a path outside the resource tree that is counted.
func countedPath(path string) string {
	for _, known := range []string{"/healthz", "/livez", "/readyz", "/metrics", "/version", "/statusz", "/flagz", "/openapi/v2", "/openapi/v3"} {
		if path == known || strings.HasPrefix(path, known+"/") {
			return known
		}
	}
	switch strings.Trim(path, "/") {
	case "api":
		return "api"
	case "apis":
		return "apis"
	}
	return ""
}

// countedMethod is the method's name, or "other".
func countedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// countedVerb is the verb under which a request for a resource is counted.
func countedVerb(info *request.RequestInfo, r *http.Request) string {
	switch info.Verb {
	case "list":
		return "LIST"
	case "watch":
		return "WATCH"
	case "deletecollection":
		return "DELETECOLLECTION"
	}
	if longRunning(info, r) {
		return "CONNECT"
	}
	if isApply(r) {
		return "APPLY"
	}
	return countedMethod(r.Method)
}

func countedDryRun(r *http.Request) string {
	if !strings.Contains(r.URL.RawQuery, "dryRun") {
		return ""
	}
	for _, v := range r.URL.Query()["dryRun"] {
		if v != "All" {
			return "invalid"
		}
	}
	return "All"
}

// begin counts a request that runs until done is called.
func (s *Server) begin(info *request.RequestInfo, r *http.Request, long bool) (done func()) {
	if s.cfg.Metrics == nil {
		return func() {}
	}
	if !long {
		return s.cfg.Metrics.Begin(mutating(info.Verb))
	}
	h, ok := s.account(info, r)
	if !ok {
		return func() {}
	}
	return s.cfg.Metrics.BeginLong(h)
}

// finish counts one ended request.
func (s *Server) finish(w *recorder, r *http.Request, info *request.RequestInfo, start time.Time) {
	if s.cfg.Metrics == nil || info == nil {
		return
	}
	h, ok := s.account(info, r)
	if !ok {
		return
	}
	h.Code, h.Bytes, h.Took = w.code, w.bytes, time.Since(start)
	s.cfg.Metrics.Observe(h)
	if w.panicked || w.code == http.StatusGatewayTimeout {
		s.cfg.Metrics.Terminated(h)
	}
}

// stocks are what the server holds of each resource.
func (s *Server) stocks() []health.Stock {
	out := make([]health.Stock, 0, len(s.resources))
	for gvr, res := range s.resources {
		x := health.Stock{Group: gvr.Group, Version: gvr.Version, Resource: gvr.Resource, Sent: res.sent.Load(), Deprecated: res.asked.Load(), Removed: removal(res.GVK()),
			SentBytes: res.sentBytes.Load(), Ended: res.tooSlow.Load()}
		for i := range x.Sizes {
			x.Sizes[i] = res.sizes[i].Load()
		}
		if s.kinds[gvr.GroupResource()] == res {
			if snapshot, err := s.cache.Snapshot(res.Prefix + "/"); err == nil { // else the cache has not loaded yet
				x.Stored, x.Objects, x.Revision = true, snapshot.Len(), snapshot.Revision()
			}
		}
		out = append(out, x)
	}
	return out
}

// wrote counts a write to the store that began at a time.
func (s *Server) wrote(operation string, res *resource, began time.Time, err error) {
	if s.cfg.Metrics != nil {
		s.cfg.Metrics.Stored(operation, res.GroupVersion.Group, res.Name, time.Since(began), err)
	}
}
