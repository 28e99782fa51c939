package image

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestPushAndPullKeepDigests(t *testing.T) {
	for _, login := range []string{"", "captain:s:cret"} {
		user, password, _ := strings.Cut(login, ":")
		addr := registry(t, user, password)
		auth := &Auth{Username: user, Password: password}
		for kind, m := range map[string]*made{
			"plain": build(t, nil, nil, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", strings.Repeat("2", 300_000)))),
			"gzip":  build(t, nil, gz, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", strings.Repeat("2", 300_000)))),
			"zstd":  build(t, nil, zst, layer(t, file("a", "1"))),
			"none":  build(t, nil, nil),
		} {
			name := addr + "/team/" + kind + ":v1"
			from := open(t)
			load(t, from, m.ociArchive(t, name))
			var mu sync.Mutex
			done := map[string]bool{}
			d, err := from.Push(t.Context(), PushRequest{Ref: name, Auth: auth, Progress: func(p Progress) {
				mu.Lock()
				defer mu.Unlock()
				done[p.Digest] = p.Done == p.Total
			}})
			ok(t, err)
			if d != m.root.Digest || len(done) != len(m.blobs)-1 {
				t.Errorf("%s: pushed %s, progress %v", name, d, done)
			}
			for digest, whole := range done {
				if !whole {
					t.Errorf("%s: %s was told unfinished", name, digest)
				}
			}
			if i, _ := from.Resolve(name); i.Local || !i.HasName(addr+"/team/"+kind+"@"+d.String()) {
				t.Errorf("after the push: %+v", i)
			}
			i, err := open(t).Pull(t.Context(), PullRequest{Ref: name, Auth: auth})
			ok(t, err)
			if i.ID != m.config.Digest.String() || i.Digests[0] != addr+"/team/"+kind+"@"+m.root.Digest.String() || i.Local {
				t.Errorf("pulled %+v", i)
			}
		}
	}
}

// A second push of the same, and one to a sibling repository, send nothing.
func TestPushSendsOnlyWhatIsMissing(t *testing.T) {
	addr := registry(t, "", "")
	s := open(t)
	m := build(t, nil, gz, layer(t, file("a", strings.Repeat("1", 1000))))
	load(t, s, m.ociArchive(t, addr+"/a:1"))
	_, err := s.Tag(t.Context(), addr+"/a:1", addr+"/b:1")
	ok(t, err)
	for _, c := range []struct {
		ref    string
		cached bool
	}{{"/a:1", false}, {"/a:1", true}, {"/b:1", true}} {
		var fresh atomic.Int64
		_, err := s.Push(t.Context(), PushRequest{Ref: addr + c.ref, Progress: func(p Progress) {
			if !p.Cached {
				fresh.Add(1)
			}
		}})
		ok(t, err)
		if (fresh.Load() == 0) != c.cached {
			t.Errorf("%s: sent %d pieces", c.ref, fresh.Load())
		}
	}
	if i, _ := s.Resolve(addr + "/a:1"); len(i.Digests) != 2 {
		t.Errorf("%v", i.Digests)
	}
}

func TestPushIsRefused(t *testing.T) {
	addr := registry(t, "captain", "secret")
	s := open(t)
	load(t, s, build(t, nil, gz, layer(t, file("a", "1"))).ociArchive(t, addr+"/a:1"))
	for what, c := range map[string]struct {
		ref  string
		auth *Auth
		kind error
		want string
	}{
		"nobody":         {addr + "/a:1", nil, ErrUnauthorized, "401 Unauthorized"},
		"wrong password": {addr + "/a:1", &Auth{Username: "captain", Password: "x"}, ErrUnauthorized, "401 Unauthorized"},
		"not here":       {addr + "/b:1", nil, ErrNotFound, "image not found: " + addr + "/b:1"},
		"by digest":      {addr + "/a@sha256:" + strings.Repeat("1", 64), nil, ErrInvalidName, "use NAME:TAG"},
		"to this node":   {"minato.local/hello", nil, ErrInvalidName, "tag the image first"},
	} {
		_, err := s.Push(t.Context(), PushRequest{Ref: c.ref, Auth: c.auth})
		wantError(t, err, c.want)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: %v is not %v", what, err, c.kind)
		}
	}
	if i, _ := s.Resolve(addr + "/a:1"); !i.Local {
		t.Error("a refused push counts as one that was taken")
	}
}

// A registry whose storage breaks down in the middle of a layer gets it again.
func TestPushTriesAgain(t *testing.T) {
	m := build(t, nil, nil, layer(t, file("a", strings.Repeat("0123456789", 50_000))))
	var mu sync.Mutex
	got, failed := map[string]int{}, 0
	addr := fake(t, nil, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Location", "/v2/up/1?state=x")
			w.WriteHeader(202)
		case http.MethodPut:
			if failed < 2 && strings.Contains(r.URL.RawQuery, "digest") {
				failed++
				io.CopyN(io.Discard, r.Body, 1000)
				w.WriteHeader(503)
				return true
			}
			b, _ := io.ReadAll(r.Body)
			got[r.URL.Query().Get("digest")] = len(b)
			w.WriteHeader(201)
		default:
			return false
		}
		return true
	})
	s := open(t)
	load(t, s, m.ociArchive(t, addr+"/a:1"))
	_, err := s.Push(t.Context(), PushRequest{Ref: addr + "/a:1"})
	ok(t, err)
	for d, b := range m.blobs {
		if d != m.root.Digest && got[d.String()] != len(b) {
			t.Errorf("%s: %d bytes of %d", d, got[d.String()], len(b))
		}
	}
	if got[""] != len(m.blobs[m.root.Digest]) || failed != 2 {
		t.Errorf("manifest %d, failed %d", got[""], failed)
	}
}

func TestPushWithTokens(t *testing.T) {
	m := build(t, nil, gz, layer(t, file("a", "1")))
	var addr string
	var scopes sync.Map
	addr = fake(t, nil, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			scopes.Store(r.URL.Query().Get("scope"), true)
			io.WriteString(w, `{"token":"t"}`)
			return true
		}
		if r.Header.Get("Authorization") != "Bearer t" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+addr+`/token",service="s"`)
			w.WriteHeader(401)
			return true
		}
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(404)
		case http.MethodPost:
			w.Header().Set("Location", "/up")
			w.WriteHeader(202)
		default:
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(201)
		}
		return true
	})
	s := open(t)
	load(t, s, m.ociArchive(t, addr+"/a:1"))
	_, err := s.Push(t.Context(), PushRequest{Ref: addr + "/a:1", Auth: &Auth{Username: "u", Password: "p"}})
	ok(t, err)
	if _, asked := scopes.Load("repository:a:pull,push"); !asked {
		t.Error("the token was not asked for with the right to push")
	}
}
