package image

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// ask sends one request to the store as to a registry.
func ask(t *testing.T, s *Store, method, path, ns string) (status int, header http.Header, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Registry().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path+"?"+url.Values{"ns": {ns}}.Encode(), nil))
	b, err := io.ReadAll(w.Result().Body)
	ok(t, err)
	return w.Code, w.Result().Header, string(b)
}

func TestStoreAnswersAsARegistry(t *testing.T) {
	s := open(t)
	m := build(t, nil, gz, layer(t, file("a", "text")))
	load(t, s, m.ociArchive(t, "docker.io/library/web:1"))
	root := m.root.Digest.String()
	code, h, body := ask(t, s, "HEAD", "/v2/library/web/manifests/1", "docker.io")
	if code != 200 || body != "" || h.Get("Docker-Content-Digest") != root || h.Get("Content-Type") != m.root.MediaType || h.Get("Content-Length") == "" {
		t.Errorf("HEAD of the tag: %d %v %q", code, h, body)
	}
	for _, target := range []string{"1", root} {
		if code, _, body := ask(t, s, "GET", "/v2/library/web/manifests/"+target, "docker.io"); code != 200 || body != string(m.blobs[m.root.Digest]) {
			t.Errorf("GET of %s: %d %q", target, code, body)
		}
	}
	for d, want := range m.blobs {
		if code, _, body := ask(t, s, "GET", "/v2/any/repo/blobs/"+d.String(), "any.local"); code != 200 || body != string(want) {
			t.Errorf("blob %s: %d, %d bytes", d, code, len(body))
		}
	}
}

func TestStoreRefusesAsARegistry(t *testing.T) {
	s := open(t)
	none := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		path, ns string
		code     int
		why      string
	}{
		{"/v2/x/manifests/1", "127.0.0.1:1", 502, "registry unavailable"},
		{"/v2/hello/manifests/none", "minato.local", 404, "not found"},
		{"/v2/x/blobs/" + none, "a.local", 404, "no such file"},
		{"/v2/x/blobs/tag", "a.local", 404, "not found"},
		{"/v2/x/blobs/sha512:" + strings.Repeat("0", 128), "a.local", 404, "no such file"},
		{"/v2/x/blobs/md5:" + strings.Repeat("0", 32), "a.local", 400, "unsupported digest algorithm"},
		{"/v2/x/blobs/sha256:../../x", "a.local", 400, "invalid image name"},
		{"/v2/UPPER/manifests/1", "a.local", 400, "invalid image name"},
		{"/v2/", "a.local", 404, "not found"},
	} {
		code, h, body := ask(t, s, "GET", c.path, c.ns)
		if code != c.code || !strings.Contains(body, c.why) || !strings.Contains(h.Get(ServeError), c.why) {
			t.Errorf("%s of %s: %d %q, header %q; want %d with %q", c.path, c.ns, code, body, h.Get(ServeError), c.code, c.why)
		}
	}
}

// What the store lacks is pulled; what it has is asked for anew only where that was wished.
func TestStorePullsWhatItIsAskedFor(t *testing.T) {
	asked := 0
	first, second := build(t, nil, gz, layer(t, file("a", "1"))), build(t, nil, gz, layer(t, file("a", "2")))
	images := map[string]*made{"web:1": first}
	addr := fake(t, images, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/manifests/") {
			asked++
		}
		return false
	})
	s := open(t)
	digestOfTag := func(query string) string {
		w := httptest.NewRecorder()
		s.Registry().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "HEAD", "/v2/web/manifests/1?ns="+addr+query, nil))
		return w.Result().Header.Get("Docker-Content-Digest")
	}
	if got := digestOfTag(""); got != first.root.Digest.String() {
		t.Errorf("the first time: %s", got)
	}
	images["web:1"] = second
	before := asked
	if got := digestOfTag(""); got != first.root.Digest.String() || asked != before {
		t.Errorf("again: %s after %d questions", got, asked-before)
	}
	if got := digestOfTag("&fresh=1"); got != second.root.Digest.String() {
		t.Errorf("fresh: %s", got)
	}
}
