package h2

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

func (w *response) declareTrailer(name string) {
	name = http.CanonicalHeaderKey(name)
	if httpguts.ValidTrailerHeader(name) && !slices.Contains(w.trailers, name) {
		w.trailers = append(w.trailers, name)
	}
}

// trailer is what the handler wants behind its body: what it has announced, and what it has set with http.TrailerPrefix.
// nil: nothing.
func (w *response) trailer() (fields []hpack.HeaderField) {
	if w.trailers == nil && !w.prefixed() {
		return nil
	}
	h := http.Header{}
	for _, name := range w.trailers {
		if v := w.header[name]; len(v) > 0 {
			h[name] = v
		}
	}
	for name, v := range w.header {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			h[http.CanonicalHeaderKey(bare)] = v
		}
	}
	return wireFields(nil, h)
}

func (w *response) prefixed() bool {
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// sendTrailer ends the stream with fields.
func (st *stream) sendTrailer(fields []hpack.HeaderField) {
	c := st.c
	c.mu.Lock()
	defer c.unlock()
	if st.err != nil {
		return
	}
	c.headers(st.id, 0, fields, true)
	c.out.due = true
	st.localEnded = true
	st.settle()
}
