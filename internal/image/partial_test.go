package image

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// A pull that is broken off for good leaves what has arrived; the next one, of another process too, asks for the rest.
func TestBrokenOffLayerIsResumed(t *testing.T) {
	big := layer(t, file("a", strings.Repeat("0123456789", 50_000)))
	m := build(t, nil, nil, big)
	const half = 200_000
	var broken atomic.Bool
	broken.Store(true)
	var ranges atomic.Value
	addr := fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digest.FromBytes(big).String()) {
			return false
		}
		ranges.Store(r.Header.Get("Range"))
		if !broken.Load() {
			return false
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(400)
			return true
		}
		w.Write(big[:half])
		panic(http.ErrAbortHandler)
	})
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	ok(t, err)
	if _, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"}); err == nil {
		t.Fatal("half a layer was enough")
	}
	broken.Store(false)
	if s, err = Open(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	i, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	ok(t, err)
	if got := ranges.Load(); got != "bytes=200000-" {
		t.Errorf("asked for %q", got)
	}
	if b, err := os.ReadFile(s.blobPath(digest.FromBytes(big).String())); err != nil || !bytes.Equal(b, big) || len(i.Layers) != 1 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if left := tree(t, s.path("partial")); left != "" {
		t.Errorf("left: %s", left)
	}
}

// What lies there may be anything: it is found out, thrown away, and the next pull starts anew.
func TestWrongPartialIsThrownAway(t *testing.T) {
	big := layer(t, file("a", strings.Repeat("0123456789", 1000)))
	m := build(t, nil, nil, big)
	addr := fake(t, map[string]*made{"a:1": m}, nil)
	s := open(t)
	at := s.path("partial", digest.FromBytes(big).Encoded())
	ok(t, os.WriteFile(at, []byte("something else"), 0o600))
	_, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	wantError(t, err, "does not match its digest")
	_, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	ok(t, err)
	ok(t, os.WriteFile(at, []byte("old"), 0o600))
	ok(t, s.sweepPartials(time.Now()))
	if _, err := os.Stat(at); err != nil {
		t.Error("a young partial was swept away")
	}
	ok(t, s.sweepPartials(time.Now().Add(25*time.Hour)))
	if _, err := os.Stat(at); err == nil {
		t.Error("an old partial stayed")
	}
}
