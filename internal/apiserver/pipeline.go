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
	defer s.begin(info, r, long)()
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
	w.panicked = true
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
	began := time.Now()
	resp, ok, err := s.sec.Authenticator.AuthenticateRequest(r)
	if err != nil || !ok {
		result := "failure"
		if err != nil {
			result = "error"
			s.log.Info("request not authenticated", "path", r.URL.Path, "err", err)
		}
		s.cfg.Metrics.Authenticated(result, "", time.Since(began))
		writeStatus(w, r, apierrors.NewUnauthorized("Unauthorized"))
		return nil, false
	}
	r.Header.Del("Authorization")
	s.cfg.Metrics.Authenticated("success", resp.User.GetName(), time.Since(began))
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		s.cfg.Metrics.Certificate(r.TLS.PeerCertificates[0].NotAfter)
	}
	return resp.User, true
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request, attrs authorizer.Attributes) bool {
	began := time.Now()
	decision, reason, err := s.sec.Authorizer.Authorize(r.Context(), attrs)
	s.cfg.Metrics.Authorized(decided(decision, err), time.Since(began))
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

// decided is what metrics call an authoriser's answer.
func decided(d authorizer.Decision, err error) string {
	switch {
	case d == authorizer.DecisionAllow:
		return "allowed"
	case err != nil:
		return "error"
	case d == authorizer.DecisionDeny:
		return "denied"
	}
	return "no-opinion"
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

func isApply(r *http.Request) bool {
	return r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.ApplyYAMLPatchType)
}
