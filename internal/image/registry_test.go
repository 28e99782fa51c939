package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/bcrypt"
)

var given atomic.Int32

// free is an address of the loopback that nobody has had: below the ports that the kernel gives to callers, in a network
// where nobody else is.
func free() string { return fmt.Sprintf("127.0.0.%d:5000", 1+given.Add(1)) }

// registry starts Debian's docker-registry on a free port of the loopback and returns its address.
func registry(t *testing.T, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	addr := free()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: %q}\n", dir, addr)
	if user != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		ok(t, err)
		ok(t, os.WriteFile(dir+"/htpasswd", []byte(user+":"+string(hash)+"\n"), 0o600))
		config += fmt.Sprintf("auth: {htpasswd: {realm: harbour, path: %s/htpasswd}}\n", dir)
	}
	ok(t, os.WriteFile(dir+"/config.yml", []byte(config), 0o600))
	cmd := exec.Command("docker-registry", "serve", dir+"/config.yml")
	ok(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatal("docker-registry does not start: ", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// push puts the image into a registry.
func (m *made) push(t *testing.T, addr, repo, tag, user, password string) {
	t.Helper()
	do := func(method, url, mediaType string, body []byte, want int) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		ok(t, err)
		req.Header.Set("Content-Type", mediaType)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		ok(t, err)
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%s %s: %s: %s", method, url, resp.Status, said)
		}
		return resp
	}
	for d, b := range m.blobs {
		if d == m.root.Digest {
			continue
		}
		at := do("POST", "http://"+addr+"/v2/"+repo+"/blobs/uploads/", "", nil, 202).Header.Get("Location")
		do("PUT", at+"&digest="+d.String(), "application/octet-stream", b, 201)
	}
	do("PUT", "http://"+addr+"/v2/"+repo+"/manifests/"+tag, m.root.MediaType, m.blobs[m.root.Digest], 201)
}

func TestPullFromRegistry(t *testing.T) {
	addr := registry(t, "", "")
	m := build(t, nil, gz, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", strings.Repeat("2", 300_000))))
	m.push(t, addr, "team/app", "v1", "", "")
	s := open(t)
	var mu sync.Mutex
	done := map[string]bool{}
	i, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/team/app:v1", Progress: func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		done[p.Digest] = p.Done == p.Total
	}})
	ok(t, err)
	if i.ID != m.config.Digest.String() || i.Names[0] != addr+"/team/app:v1" || i.Digests[0] != addr+"/team/app@"+m.root.Digest.String() || len(i.Layers) != 2 {
		t.Errorf("%+v", i)
	}
	if len(done) != 2 || i.Size == 0 {
		t.Errorf("progress %v, size %d", done, i.Size)
	}
	for _, ref := range []string{addr + "/team/app:v1", addr + "/team/app@" + m.root.Digest.String()} {
		if again, err := s.Pull(t.Context(), PullRequest{Ref: ref}); err != nil || again.ID != i.ID {
			t.Errorf("%s again: %v", ref, err)
		}
	}
	moved := build(t, nil, gz, layer(t, file("new", "1")))
	moved.push(t, addr, "team/app", "v1", "", "")
	if i, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/team/app:v1"}); err != nil || i.ID != moved.config.Digest.String() {
		t.Errorf("after the tag moved: %s, %v", i.ID, err)
	}
	for ref, want := range map[string]string{
		"/team/app:none":     "404 Not Found: manifest unknown: manifest unknown",
		"/nobody/nothing:v1": "404 Not Found: manifest unknown",
		"/team/app@sha256:" + strings.Repeat("1", 64): "manifest unknown",
	} {
		_, err := s.Pull(t.Context(), PullRequest{Ref: addr + ref})
		wantError(t, err, want)
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v is not ErrNotFound", ref, err)
		}
	}
}

func TestPullWithBasicAuth(t *testing.T) {
	addr := registry(t, "captain", "s:cret")
	m := build(t, nil, gz, layer(t, file("a", "1")))
	m.push(t, addr, "app", "v1", "captain", "s:cret")
	for what, c := range map[string]struct {
		auth *Auth
		good bool
	}{
		"user and password": {&Auth{Username: "captain", Password: "s:cret"}, true},
		"auth field":        {&Auth{Auth: "Y2FwdGFpbjpzOmNyZXQ="}, true},
		"nothing":           {nil, false},
		"wrong password":    {&Auth{Username: "captain", Password: "x"}, false},
		"broken auth field": {&Auth{Auth: "%%"}, false},
	} {
		_, err := open(t).Pull(t.Context(), PullRequest{Ref: addr + "/app:v1", Auth: c.auth})
		if c.good {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v is not ErrUnauthorized", what, err)
		}
		wantError(t, err, "unauthorized: authentication required")
	}
}

func TestPullFromNowhere(t *testing.T) {
	addr := free()
	_, err := open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a:b"})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v is not ErrUnavailable", err)
	}
	wantError(t, err, "connection refused")
}

func TestEqualPullsShareOneTransfer(t *testing.T) {
	m := build(t, nil, gz, layer(t, file("a", strings.Repeat("1", 1000))), layer(t, file("b", "2")))
	other := build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.Author = "x" }, gz, layer(t, file("a", strings.Repeat("1", 1000))), layer(t, file("b", "2")))
	var blobs atomic.Int64
	gate := make(chan struct{})
	addr := fake(t, map[string]*made{"a:1": m, "b:1": other}, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.Contains(r.URL.Path, "config") {
			blobs.Add(1)
			<-gate
		}
		return false
	})
	s := open(t)
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			ref := addr + "/" + []string{"a:1", "b:1"}[n%2]
			if _, err := s.Pull(t.Context(), PullRequest{Ref: ref}); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
		}()
	}
	close(gate)
	wait.Wait()
	if n := blobs.Load(); n != 4 { // two configs, two layers
		t.Errorf("%d blobs were fetched, want 4", n)
	}
	if len(s.List()) != 2 {
		t.Errorf("%d images", len(s.List()))
	}
}

// fake serves images over plain HTTP on the loopback; first may answer a request itself.
func fake(t *testing.T, images map[string]*made, first func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first != nil && first(w, r) {
			return
		}
		part := strings.Split(r.URL.Path, "/") // "", v2, repo, manifests|blobs, target
		for ref, m := range images {
			repo, tag, _ := strings.Cut(ref, ":")
			if part[2] != repo {
				continue
			}
			d := digest.Digest(part[4])
			if part[4] == tag {
				d = m.root.Digest
			}
			if b, found := m.blobs[d]; found {
				if part[3] == "manifests" {
					w.Header().Set("Content-Type", m.root.MediaType)
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
				return
			}
		}
		w.WriteHeader(404)
		io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"x"}}]}`)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestPullGoesOnWhereTheConnectionBroke(t *testing.T) {
	big := layer(t, file("a", strings.Repeat("0123456789", 50_000)))
	m := build(t, nil, nil, big)
	for _, ranges := range []bool{true, false} {
		var requests atomic.Int64
		addr := fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digest.FromBytes(big).String()) {
				return false
			}
			n := requests.Add(1)
			if !ranges {
				r.Header.Del("Range")
			}
			if n > 3 {
				return false
			}
			from := 0
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Length", fmt.Sprint(len(big)-from))
			if from > 0 {
				w.WriteHeader(206)
			}
			w.Write(big[from : from+int(n)*60_000])
			panic(http.ErrAbortHandler)
		})
		i, err := open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
		if err != nil || i.ID != m.config.Digest.String() || requests.Load() != 4 {
			t.Errorf("ranges %v: %v after %d requests", ranges, err, requests.Load())
		}
	}
}

// TestPullGoesOnWhereTheRegistryHangs: a transfer that stands still is begun again where it stands.
func TestPullGoesOnWhereTheRegistryHangs(t *testing.T) {
	big := layer(t, file("a", strings.Repeat("0123456789", 50_000)))
	m := build(t, nil, nil, big)
	var requests atomic.Int64
	addr := fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digest.FromBytes(big).String()) || requests.Add(1) > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(big)))
		w.Write(big[:60_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	s := open(t)
	s.cfg.Stall = time.Second
	i, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	if err != nil || i.ID != m.config.Digest.String() || requests.Load() < 2 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}

func TestPullRefusesLies(t *testing.T) {
	good, bad := layer(t, file("a", "1")), layer(t, file("a", "2"))
	m := build(t, nil, gz, good)
	for what, c := range map[string]struct {
		path string // whose answer is a lie
		body []byte
		want string
	}{
		"layer":        {digest.FromBytes(gz(t, good)).String(), gz(t, bad), "does not match its digest"},
		"longer layer": {digest.FromBytes(gz(t, good)).String(), append(gz(t, good), "more"...), "does not match its digest"},
		"no archive":   {digest.FromBytes(gz(t, good)).String(), []byte(strings.Repeat("x", len(gz(t, good)))), "does not match its digest"},
		"config":       {m.config.Digest.String(), []byte("{}"), "does not match its digest"},
	} {
		addr := fake(t, map[string]*made{"a:1": m, "b:1": build(t, nil, gz, layer(t, file("b", "1")))}, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, c.path) {
				return false
			}
			w.Write(c.body)
			return true
		})
		s := open(t)
		_, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
		wantError(t, err, c.want)
		if len(s.List()) != 0 {
			t.Errorf("%s: the image was kept", what)
		}
		// What was true of it is kept for a next try, and goes with whatever is removed next.
		_, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/b:1"})
		ok(t, err)
		ok(t, s.Remove(t.Context(), addr+"/b:1", RemoveOptions{}))
		if left := filesOf(t, s); len(left) != 0 {
			t.Errorf("%s: left are %v", what, left)
		}
	}
	addr := fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/sha256:") {
			return false
		}
		w.Write([]byte(`{"schemaVersion":2,"manifests":[]}`))
		return true
	})
	_, err := open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a@" + m.root.Digest.String()})
	wantError(t, err, "does not match its digest")
}

// filesOf lists all files of a store but those of the store itself.
func filesOf(t *testing.T, s *Store) (names []string) {
	t.Helper()
	ok(t, filepath.WalkDir(s.cfg.Dir, func(at string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(at, s.cfg.Dir))
		}
		return err
	}))
	return names
}

func TestPullWithTokens(t *testing.T) {
	m := build(t, nil, gz, layer(t, file("a", "1")))
	var addr string
	var given atomic.Int64
	addr = fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			user, password, _ := r.BasicAuth()
			if r.URL.Query().Get("scope") != "repository:a:pull" || r.URL.Query().Get("service") != "test, registry" || user != "u" || password != "p" {
				w.WriteHeader(401)
				io.WriteString(w, `{"details":"incorrect username or password"}`)
				return true
			}
			fmt.Fprintf(w, `{"token":"t%d"}`, given.Add(1))
			return true
		}
		if r.Header.Get("Authorization") == fmt.Sprintf("Bearer t%d", given.Load()) && given.Load() > 0 && !(strings.Contains(r.URL.Path, "blobs") && given.Load() == 1) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+addr+`/token",service="test, registry",scope="repository:a:pull"`)
		w.WriteHeader(401)
		io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}`)
		return true
	})
	_, err := open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a:1", Auth: &Auth{Username: "u", Password: "p"}})
	ok(t, err)
	if given.Load() != 2 { // the first token expires on the way
		t.Errorf("%d tokens were given", given.Load())
	}
	_, err = open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	wantError(t, err, "incorrect username or password")
	if !errors.Is(err, ErrUnauthorized) {
		t.Errorf("%v is not ErrUnauthorized", err)
	}
}

func TestPullIsGivenUp(t *testing.T) {
	m := build(t, nil, gz, layer(t, file("a", "1")))
	reached, block := make(chan struct{}, 10), make(chan struct{})
	addr := fake(t, map[string]*made{"a:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			reached <- struct{}{}
			select {
			case <-block:
			case <-r.Context().Done():
			}
		}
		return false
	})
	s := open(t)
	ctx, cancel := contextWithCancel(t)
	go func() { <-reached; cancel() }()
	if _, err := s.Pull(ctx, PullRequest{Ref: addr + "/a:1"}); err == nil {
		t.Error("a cancelled pull succeeded")
	}
	if left := tree(t, filepath.Join(s.cfg.Dir, "tmp")); left != "" {
		t.Errorf("left: %s", left)
	}
	close(block)
	_, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	ok(t, err)
}

func TestParseChallenge(t *testing.T) {
	for in, want := range map[string]string{
		`Bearer realm="https://a/t",service="s",scope="r:x:pull,push"`: `bearer map[realm:https://a/t scope:r:x:pull,push service:s]`,
		`Basic realm=harbour`:               `basic map[realm:harbour]`,
		`BEARER  Realm = "a\"b" , x=y, z="`: `bearer map[realm:a"b x:y z:]`,
		`Negotiate`:                         `negotiate map[]`,
		``:                                  ` map[]`,
	} {
		scheme, params := parseChallenge(in)
		if got := fmt.Sprintf("%s %v", scheme, params); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
