package apiserver

import (
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/discovery"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// route hands an allowed request to its verb.
func (s *Server) route(w http.ResponseWriter, r *http.Request, info *request.RequestInfo, attrs authorizer.Attributes, u user.Info) {
	if !info.IsResourceRequest {
		s.routePath(w, r)
		return
	}
	gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
	if !s.versions[gv] || (info.APIPrefix == "api") != (gv.Group == "") {
		if s.ofGroup(r.URL.Path) {
			writeStatus(w, r, notServed())
		} else {
			http.NotFound(w, r)
		}
		return
	}
	res := s.resources[gv.WithResource(info.Resource)]
	if res == nil || !fits(res, info) {
		writeStatus(w, r, notServed())
		return
	}
	c := &call{s: s, w: w, r: r, info: info, attrs: attrs, user: u, res: res, query: r.URL.Query()}
	if !res.Namespaced {
		c.info.Namespace = ""
	}
	if err := validName(info.Name); err != nil {
		writeStatus(w, r, err)
		return
	}
	verb, err := c.verb()
	if err == nil || apierrors.ReasonForError(err) == metav1.StatusReasonNotAcceptable {
		if refused := c.routable(); refused != nil {
			err = refused
		} else {
			c.warn.add(res.deprecated) // who asks in no form that there is hears of it too
		}
	}
	if err == nil {
		err = verb(c)
	}
	if err != nil {
		c.warn.write(w.Header())
		writeStatus(w, r, err)
	}
}

// validName refuses names that could not be part of a path.
func validName(name string) error {
	if texts := path.IsValidPathSegmentName(name); len(texts) > 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("Name parameter invalid: %q: %s", name, strings.Join(texts, ";")))
	}
	return nil
}

// fits says whether the path's form is one that the resource has.
func fits(res *resource, info *request.RequestInfo) bool {
	inNamespace := info.Namespace != "" && (info.Resource != "namespaces" || info.Name == "")
	if !res.Namespaced && inNamespace {
		return false
	}
	collection := info.Verb == "list" || info.Verb == "watch" || info.Verb == "deletecollection" // the name is a field selector's
	if info.Name != "" && res.Namespaced && !inNamespace && !collection {
		return false
	}
	return len(info.Parts) <= 3 || info.Subresource == "proxy"
}

// verb finds what answers the call, and negotiates the answer's form for verbs that answer with objects.
func (c *call) verb() (func(*call) error, error) {
	if c.info.Subresource != "" {
		return c.subVerb()
	}
	name := c.info.Verb
	if name == "proxy" { // the oldest form of proxies, which upstream has no more
		return nil, notServed()
	}
	if c.info.Name != "" && name == "create" || c.info.Name == "" && (name == "update" || name == "patch") {
		return nil, methodNotAllowed()
	}
	if (name == "deletecollection" || name == "create") && c.res.Namespaced && c.info.Namespace == "" {
		return nil, methodNotAllowed() // one namespace at a time
	}
	known := name
	if !c.res.Stored() && name == "create" {
		var err error
		c.out, err = negotiate.Choose(c.r, false) // nobody lists answers, so they have no columns
		return (*call).review, err
	}
	if c.res.Kind == "ComponentStatus" && (name == "get" || name == "list") {
		return c.choose((*call).components)
	}
	if !c.res.Can(known) {
		return nil, methodNotAllowed()
	}
	if name == "watch" {
		return (*call).watch, nil
	}
	if verb := verbOf(name); verb != nil {
		return c.choose(verb)
	}
	return nil, methodNotAllowed()
}

// verbOf is what answers a verb on objects themselves, nil for none. It stands in no map, which each request would make.
func verbOf(name string) func(*call) error {
	switch name {
	case "get":
		return (*call).get
	case "list":
		return (*call).list
	case "create":
		return (*call).create
	case "update":
		return (*call).update
	case "patch":
		return (*call).patch
	case "delete":
		return (*call).delete
	case "deletecollection":
		return (*call).deleteCollection
	}
	return nil
}

// routable checks what upstream's router asks of a request before its verb runs.
func (c *call) routable() error {
	switch c.info.Subresource {
	case "log", "exec", "attach", "portforward", "proxy":
		return nil // their answers are no objects
	}
	if c.r.Method == http.MethodHead {
		return methodNotAllowed()
	}
	if c.info.Verb == "patch" {
		if err := negotiate.Consumes(c.r, patchTypes); err != nil {
			return err
		}
	}
	return negotiate.Produces(c.r, c.info.Verb == "list" || c.info.Verb == "watch")
}

// choose negotiates the answer's form.
func (c *call) choose(f func(*call) error) (func(*call) error, error) {
	var err error
	c.out, err = negotiate.Choose(c.r, true)
	return f, err
}

// subVerb finds what answers a call for a subresource.
func (c *call) subVerb() (func(*call) error, error) {
	if c.sub = c.res.Sub(c.info.Subresource); c.sub == nil {
		return nil, notServed()
	}
	asks := c.sub.Name == "proxy" && c.r.Method == http.MethodOptions // which has no verb
	if c.info.Verb == "deletecollection" || !asks && !can(c.sub, c.info.Verb) {
		return nil, methodNotAllowed()
	}
	switch c.sub.Name {
	case "scale":
		return c.choose(map[string]func(*call) error{"get": (*call).getScale, "update": (*call).updateScale, "patch": (*call).patchScale}[c.info.Verb])
	case "binding":
		return c.choose((*call).bind)
	case "eviction":
		return c.choose((*call).evict)
	case "token":
		return c.choose((*call).token)
	case "log", "exec", "attach", "portforward":
		return (*call).connectPod, nil
	case "proxy":
		return (*call).connectProxy, nil
	}
	verb := map[string]func(*call) error{"get": (*call).get, "update": (*call).update, "patch": (*call).patch}[c.info.Verb]
	var err error
	c.out, err = negotiate.Choose(c.r, c.hasTable())
	return verb, err
}

// hasTable says whether upstream makes Tables of the subresource.
func (c *call) hasTable() bool {
	switch c.sub.Name {
	case "status":
		return c.gr() != apiServices && c.gr().Group != "resource.k8s.io"
	case "approval", "finalize", "ephemeralcontainers", "resize":
		return false
	}
	return true
}

var apiServices = schema.GroupResource{Group: "apiregistration.k8s.io", Resource: "apiservices"}

func can(sub *api.Subresource, verb string) bool {
	for _, v := range sub.Verbs {
		if v == verb {
			return true
		}
	}
	return false
}

// routePath answers what lies outside the resource tree.
func (s *Server) routePath(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	switch {
	case s.cfg.Paths[at] != nil:
		s.cfg.Paths[at].ServeHTTP(w, r)
	case r.Method != http.MethodGet && !discovery.Lists(at) && (s.discovery.Serves(at) || strings.TrimSuffix(at, "/") == "/version"):
		writeStatus(w, r, methodNotAllowed())
	case strings.TrimSuffix(at, "/") == "/version" && negotiate.JSONOnly(r) != nil:
		writeStatus(w, r, negotiate.JSONOnly(r))
	case s.discovery.Serves(at):
		s.discovery.ServeHTTP(w, r)
	case s.health.Serves(at):
		s.health.ServeHTTP(w, r)
	case strings.HasPrefix(at, "/openapi/v"):
		s.openapi.ServeHTTP(w, r)
	case at == "/openid/v1/jwks" && s.sec.Tokens != nil:
		serveText(w, r, "application/jwk-set+json", s.sec.Tokens.JWKS())
	case at == "/.well-known/openid-configuration" && s.sec.Tokens != nil:
		serveText(w, r, "application/json", s.sec.Tokens.OpenIDConfiguration())
	case at == "/":
		s.servePaths(w, r)
	case s.ofGroup(at):
		writeStatus(w, r, notServed())
	default:
		http.NotFound(w, r)
	}
}

// ofGroup says whether a path is below a group that is served, in whatever version.
func (s *Server) ofGroup(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "api" && len(parts) > 1 {
		return true
	}
	if parts[0] != "apis" || len(parts) < 3 {
		return false
	}
	for gv := range s.versions {
		if gv.Group == parts[1] {
			return true
		}
	}
	return false
}

// serveText serves a document for anyone who checks tokens.
func serveText(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	if r.Method != http.MethodGet {
		writeStatus(w, r, methodNotAllowed())
		return
	}
	if err := negotiate.Only(r, mediaType); err != nil {
		writeStatus(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	writeBody(w, r, http.StatusOK, mediaType, body)
}
