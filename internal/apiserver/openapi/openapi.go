package openapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

//go:generate go run ./gen .

// files are the documents, each minified and compressed, and an index of them.
//
//go:embed index.json v2.json.gz v3/*.json.gz
var files embed.FS

// index lists the embedded documents: the hash, which is the upper-case hexadecimal SHA-512 of the JSON text, by path.
type index struct {
	V2 string            `json:"v2"` // hash
	V3 map[string]string `json:"v3"` // hash by path ("apis/apps/v1")
}

// Handler serves /openapi/v2, /openapi/v3 and /openapi/v3/<path of a group version>.
type Handler struct {
	v2   *document
	v3   map[string]*document
	list func() (list, error) // what /openapi/v3 answers
}

// New returns a handler that lists only the group versions for which served ("api/v1", "apis/apps/v1", "apis/apps",
// "version" ...) says yes; nil lists all. It returns an error where the embedded index is damaged.
func New(served func(path string) bool) (*Handler, error) {
	data, err := files.ReadFile("index.json")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	var x index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("openapi: index: %w", err)
	}
	h := &Handler{v2: newDocument("v2.json.gz", x.V2, v2Protobuf), v3: map[string]*document{}}
	for path, hash := range x.V3 {
		if served == nil || served(path) {
			h.v3[path] = newDocument("v3/"+fileName(path), hash, v3Protobuf)
		}
	}
	h.list = sync.OnceValues(h.renderList)
	return h, nil
}

// fileName is the embedded file of a v3 document.
func fileName(path string) string { return strings.ReplaceAll(path, "/", "__") + ".json.gz" }

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/openapi/v2":
		h.v2.serve(w, r, v2Forms)
	case path == "/openapi/v3":
		h.serveList(w, r)
	default:
		d := h.v3[strings.TrimPrefix(path, "/openapi/v3/")]
		if d == nil {
			http.NotFound(w, r)
			return
		}
		h.serveVersion(w, r, d)
	}
}
