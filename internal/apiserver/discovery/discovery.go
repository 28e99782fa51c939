package discovery

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is one group version and its resources; a subresource is named "resource/subresource". The fields are
// those of the v1 documents; the aggregated documents are derived.
type GroupVersion struct {
	schema.GroupVersion
	Resources []metav1.APIResource
}

// Handler serves the discovery documents.
type Handler struct {
	address string
	docs    atomic.Pointer[documents]
}

// documents are all documents of one set of group versions.
type documents struct {
	plain map[string]*document // by path
	// core and groups are the aggregated forms of /api and /apis.
	core, groups *document
}

// New returns a handler for gvs, in the order in which clients shall see the groups; a group's first version is its preferred one.
// serverAddress is what /api names as the address for all client networks, "host:port".
func New(gvs []GroupVersion, serverAddress string) (*Handler, error) {
	h := &Handler{address: serverAddress}
	return h, h.Set(gvs)
}

// Set replaces the served group versions. It returns an error where a group version comes twice.
func (h *Handler) Set(gvs []GroupVersion) error {
	d := &documents{plain: map[string]*document{}}
	var groups []metav1.APIGroup
	core := &metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{},
		ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: h.address}}}
	at := map[string]int{}
	for _, gv := range gvs {
		path := "/apis/" + gv.String()
		if gv.Group == "" {
			path = "/api/" + gv.Version
			core.Versions = append(core.Versions, gv.Version)
		} else {
			if _, ok := at[gv.Group]; !ok {
				at[gv.Group] = len(groups)
				groups = append(groups, newGroup(gv.GroupVersion))
			}
			g := &groups[at[gv.Group]]
			g.Versions = append(g.Versions, forDiscovery(gv.GroupVersion))
		}
		if d.plain[path] != nil {
			return fmt.Errorf("discovery: %s is listed twice", gv.GroupVersion)
		}
		d.plain[path] = newDocument(resourceList(gv))
	}
	for i := range groups {
		d.plain["/apis/"+groups[i].Name] = newDocument(&groups[i])
	}
	list := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	for _, g := range groups {
		g.TypeMeta = metav1.TypeMeta{}
		list.Groups = append(list.Groups, g)
	}
	d.plain["/api"], d.plain["/apis"] = newDocument(core), newDocument(list)
	d.core, d.groups = newDocument(aggregate(gvs, true)), newDocument(aggregate(gvs, false))
	h.docs.Store(d)
	return nil
}

func newGroup(gv schema.GroupVersion) metav1.APIGroup {
	return metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: gv.Group, PreferredVersion: forDiscovery(gv)}
}

func forDiscovery(gv schema.GroupVersion) metav1.GroupVersionForDiscovery {
	return metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
}

// resourceList is the document of one group version. That of the core group has no apiVersion, as it has been from the first.
func resourceList(gv GroupVersion) *metav1.APIResourceList {
	l := &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: gv.String(), APIResources: gv.Resources}
	if gv.Group != "" {
		l.APIVersion = "v1"
	}
	if l.APIResources == nil {
		l.APIResources = []metav1.APIResource{}
	}
	return l
}

// Serves says whether path is one of the discovery documents' paths that exist now.
func (h *Handler) Serves(path string) bool { return h.docs.Load().plain[clean(path)] != nil }

func clean(path string) string { return strings.TrimSuffix(path, "/") }

// ServeHTTP answers GET and HEAD of a path that Serves, and of one that Lists any method; any other gets 404 or 405.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	docs, path := h.docs.Load(), clean(r.URL.Path)
	plain := docs.plain[path]
	if plain == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !Lists(r.URL.Path) {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	switch path {
	case "/api":
		serveRoot(w, r, plain, docs.core)
	case "/apis":
		serveRoot(w, r, plain, docs.groups)
	default:
		servePlain(w, r, plain)
	}
}
