package openapi

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// list is the rendered index of /openapi/v3.
type list struct {
	body []byte
	hash string
}

func (h *Handler) renderList() (list, error) {
	type entry struct {
		URL string `json:"serverRelativeURL"`
	}
	paths := map[string]entry{}
	for p, d := range h.v3 {
		paths[p] = entry{versionURL(p, d.hash)}
	}
	body, err := json.Marshal(map[string]any{"paths": paths})
	return list{body, fmt.Sprintf("%X", sha512.Sum512(body))}, err
}

// versionURL names one state of one document, so that clients may keep what it answers for ever.
func versionURL(path, hash string) string {
	u := url.URL{Path: "/openapi/v3/" + path, RawQuery: url.Values{"hash": {hash}}.Encode()}
	return u.String()
}

func (h *Handler) serveList(w http.ResponseWriter, r *http.Request) {
	l, err := h.list()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if notModified(w, r, l.hash) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(l.body)))
	if r.Method != http.MethodHead {
		w.Write(l.body)
	}
}

// serveVersion answers with one document. A URL with another hash than the present one is sent to the present one.
func (h *Handler) serveVersion(w http.ResponseWriter, r *http.Request, d *document) {
	if hash := r.URL.Query().Get("hash"); hash != "" {
		if hash != d.hash {
			u := *r.URL
			u.RawQuery = url.Values{"hash": {d.hash}}.Encode()
			http.Redirect(w, r, u.RequestURI(), http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().UTC().AddDate(1, 0, 0).Format(http.TimeFormat))
	}
	d.serve(w, r, v3Forms)
}

// notModified sets the ETag and answers 304 where the client has this state already.
func notModified(w http.ResponseWriter, r *http.Request, hash string) bool {
	etag := strconv.Quote(hash)
	w.Header().Set("Etag", etag)
	if r.Header.Get("If-None-Match") != etag {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}
