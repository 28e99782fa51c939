package apiserver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// TestSendRendered: short answers have a length, long ones do not and are compressed where the client takes that; all
// arrive whole.
func TestSendRendered(t *testing.T) {
	for _, size := range []int{0, 10, gzipFrom, gzipFrom + 1, 5 * gzipFrom} {
		for _, zipped := range []bool{false, true} {
			want := strings.Repeat("0123456789", size/10+1)[:size]
			w := httptest.NewRecorder()
			if err := callFor(w, http.MethodGet, zipped).sendRendered(func(b *body) error { b.string(want); return nil }); err != nil {
				t.Fatal(err)
			}
			length, packed := w.Header().Get("Content-Length"), w.Header().Get("Content-Encoding") == "gzip"
			if long := size > gzipFrom; (length == "") != long || !long && length != strconv.Itoa(size) || packed != (long && zipped) {
				t.Errorf("%d bytes (%v): length %q, compressed %v", size, zipped, length, packed)
			}
			var from io.Reader = w.Body
			if packed {
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				from = z
			}
			if got, err := io.ReadAll(from); err != nil || string(got) != want {
				t.Errorf("%d bytes arrived as %d (%v)", size, len(got), err)
			}
		}
	}
}

func TestSendRenderedToHead(t *testing.T) {
	w := httptest.NewRecorder()
	if err := callFor(w, http.MethodHead, false).sendRendered(func(b *body) error { b.string("some"); return nil }); err != nil || w.Body.Len() > 0 || w.Code != http.StatusOK {
		t.Errorf("%v, %d, %q", err, w.Code, w.Body)
	}
}

// TestSendRenderedFails: an error before anything was sent is the caller's to answer with; a later one ends the connection.
func TestSendRenderedFails(t *testing.T) {
	bad := errors.New("bad")
	w := httptest.NewRecorder()
	err := callFor(w, http.MethodGet, false).sendRendered(func(b *body) error { b.string("some"); return bad })
	if !errors.Is(err, bad) || w.Body.Len() > 0 || w.Flushed {
		t.Errorf("%v after %q", err, w.Body)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("the connection was not broken off: %v", p)
		}
	}()
	_ = callFor(httptest.NewRecorder(), http.MethodGet, false).sendRendered(func(b *body) error {
		b.bytes(bytes.Repeat([]byte("x"), 3*gzipFrom))
		return bad
	})
}

func callFor(w http.ResponseWriter, method string, zipped bool) *call {
	r := httptest.NewRequest(method, "/api/v1/pods", nil)
	if zipped {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return &call{s: &Server{log: slog.New(slog.DiscardHandler)}, w: w, r: r, res: &resource{Resource: &api.Resource{}}, out: negotiate.Output{Media: negotiate.JSON}}
}
