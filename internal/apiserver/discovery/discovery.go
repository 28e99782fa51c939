package discovery

import (
	"net/http"

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
type Handler struct{}

// New returns a handler for gvs, in the order in which clients shall see the groups; a group's first version is its preferred one.
// serverAddress is what /api names as the address for all client networks, "host:port".
func New(gvs []GroupVersion, serverAddress string) (*Handler, error) { return &Handler{}, nil }

// Set replaces the served group versions.
func (h *Handler) Set(gvs []GroupVersion) error { return nil }

// Serves says whether path is one of the discovery documents' paths that exist now.
func (h *Handler) Serves(path string) bool { return false }

// ServeHTTP answers GET and HEAD of a path that Serves; any other gets 404 or 405.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {}
