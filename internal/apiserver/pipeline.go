package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"minato.dev/minato/internal/apiserver/health"
)

var infoResolver = &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// ServeHTTP runs one request: recovery, request info, deadline, who, as whom, may they, then what.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	start := time.Now()
	h := w.Header()
	h.Set("Audit-Id", auditID(r))
	h.Set("Cache-Control", "no-cache, private")
	info, err := infoResolver.NewRequestInfo(r)
	defer s.finish(rec, r, info, start)
	defer s.recover(rec, r)
	if err != nil {
		writeStatus(rec, r, apierrors.NewBadRequest(err.Error()))
		return
	}
	long := longRunning(info, r)
	if s.cfg.Metrics != nil {
		defer s.cfg.Metrics.Begin(verbName(info, r), mutating(info.Verb), long)()
	}
	ctx := r.Context()
	if !long {
		limit, err := s.timeout(r)
		if err != nil {
			writeStatus(rec, r, err)
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
		r = r.WithContext(ctx)
	}
	u, ok := s.authenticate(rec, r)
	if !ok {
		return
	}
	attrs := attributesOf(u, info)
	if u, attrs, ok = s.impersonate(rec, r, u, attrs, info); !ok {
		return
	}
	if !s.authorize(rec, r, attrs) {
		return
	}
	if !long && r.Context().Err() != nil && rec.code == 0 {
		writeLate(rec)
		return
	}
	s.route(rec, r, info, attrs, u)
}

// writeLate answers a request whose time is over before it has begun, in the form of upstream's guard.
func writeLate(w http.ResponseWriter) {
	body, err := json.Marshal(apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0).Status())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusGatewayTimeout)
	_, _ = w.Write(append(body, '\n')) // a client that has gone does not hear it
}

func auditID(r *http.Request) string {
	if id := r.Header.Get("Audit-Id"); id != "" && len(id) <= 64 {
		return id
	}
	return uuid.NewString()
}

// recover turns a panic of a verb into a 500, unless the answer has begun; then the connection is broken off.
func (s *Server) recover(w *recorder, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	s.log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.code != 0 {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, "This request caused apiserver to panic. Look in the logs for details.", http.StatusInternalServerError)
}

// timeout is the request's own limit, as its query asks for, at most the server's.
func (s *Server) timeout(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("timeout")
	if text == "" {
		return s.cfg.RequestTimeout, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid timeout specified in the request URL - %v", err))
	}
	if d <= 0 || d > s.cfg.RequestTimeout {
		d = s.cfg.RequestTimeout
	}
	return d, nil
}

// longRunning requests have no deadline of the server: watches, and what connects to pods, services and nodes.
func longRunning(info *request.RequestInfo, r *http.Request) bool {
	if !info.IsResourceRequest {
		return false
	}
	switch info.Subresource {
	case "attach", "exec", "proxy", "log", "portforward":
		return true
	}
	return info.Verb == "watch" || info.Verb == "proxy"
}

func mutating(verb string) bool {
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, verb)
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (user.Info, bool) {
	resp, ok, err := s.sec.Authenticator.AuthenticateRequest(r)
	if err != nil || !ok {
		if err != nil {
			s.log.Info("request not authenticated", "path", r.URL.Path, "err", err)
		}
		writeStatus(w, r, apierrors.NewUnauthorized("Unauthorized"))
		return nil, false
	}
	r.Header.Del("Authorization")
	return resp.User, true
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request, attrs authorizer.Attributes) bool {
	decision, reason, err := s.sec.Authorizer.Authorize(r.Context(), attrs)
	switch {
	case decision == authorizer.DecisionAllow:
		return true
	case err != nil:
		s.log.Error("authorization failed", "path", r.URL.Path, "err", err)
		http.Error(w, noSpecials.Replace(fmt.Sprintf("Internal Server Error: %q: %v", r.RequestURI, err)), http.StatusInternalServerError)
	default:
		refuse(w, r, forbidden(attrs, reason))
	}
	return false
}

// attributesOf describes a request to the authoriser.
func attributesOf(u user.Info, info *request.RequestInfo) *authorizer.AttributesRecord {
	a := &authorizer.AttributesRecord{User: u, ResourceRequest: info.IsResourceRequest, Path: info.Path, Verb: info.Verb,
		APIGroup: info.APIGroup, APIVersion: info.APIVersion, Resource: info.Resource, Subresource: info.Subresource,
		Namespace: info.Namespace, Name: info.Name}
	if info.FieldSelector != "" {
		if sel, err := fields.ParseSelector(info.FieldSelector); err != nil {
			a.FieldSelectorParsingErr = err
		} else {
			a.FieldSelectorRequirements = sel.Requirements()
		}
	}
	if info.LabelSelector != "" {
		if sel, err := labels.Parse(info.LabelSelector); err != nil {
			a.LabelSelectorParsingErr = err
		} else {
			a.LabelSelectorRequirements, _ = sel.Requirements()
		}
	}
	return a
}

// verbName is the verb under which metrics count a request.
func verbName(info *request.RequestInfo, r *http.Request) string {
	switch info.Verb {
	case "list", "watch", "deletecollection":
		return map[string]string{"list": "LIST", "watch": "WATCH", "deletecollection": "DELETECOLLECTION"}[info.Verb]
	}
	if info.IsResourceRequest && longRunning(info, r) {
		return "CONNECT"
	}
	if isApply(r) {
		return "APPLY"
	}
	return r.Method
}

func isApply(r *http.Request) bool {
	return r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.ApplyYAMLPatchType)
}

// finish reports one ended request.
func (s *Server) finish(w *recorder, r *http.Request, info *request.RequestInfo, start time.Time) {
	if s.cfg.Metrics == nil || info == nil {
		return
	}
	scope := ""
	switch {
	case info.Name != "":
		scope = "resource"
	case info.Namespace != "":
		scope = "namespace"
	case info.IsResourceRequest:
		scope = "cluster"
	}
	s.cfg.Metrics.Observe(health.Request{Verb: verbName(info, r), Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource,
		Subresource: info.Subresource, Scope: scope, Component: "apiserver", DryRun: r.URL.Query().Get("dryRun"),
		Code: w.code, Bytes: w.bytes, Took: time.Since(start)})
}
