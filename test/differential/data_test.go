package differential

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"minato.dev/minato/bench/upstream"
)

// An opened server serves an etcd data directory; end stops it, and leaves the directory at dir.
type opened struct {
	side *Side
	dir  string
	end  func() error
}

// openers serve a copy of the etcd data directory at from, or a fresh one where it is empty.
var openers = map[string]func(t *testing.T, from string) opened{"ours": openOurs, "upstream": openTheirs}

func openOurs(t *testing.T, from string) opened {
	dir := t.TempDir()
	copyData(t, from, filepath.Join(dir, "etcd"))
	s, err := StartServer(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	side := NewSide("ours", s.URL, s.TLS(), nil)
	return opened{side, filepath.Join(dir, "etcd"), func() error { side.Close(); return s.Close() }}
}

func openTheirs(t *testing.T, from string) opened {
	c, err := upstream.New(t.Context(), upstream.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	copyData(t, from, filepath.Join(c.Dir, "etcd"))
	for _, start := range []func(context.Context) error{c.StartEtcd, c.StartAPI} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	side := NewSide("upstream", c.URL(), c.TLS(), c.Net.DialContext)
	return opened{side, filepath.Join(c.Dir, "etcd"), func() error { side.Close(); return c.Stop() }}
}

func copyData(t *testing.T, from, to string) {
	if from == "" {
		return
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.Walk(to, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDataFromOurs and TestDataFromUpstream hand one etcd data directory from server to server. Each must show every
// object exactly as the one before did, and change it.
func TestDataFromOurs(t *testing.T)     { handDown(t, "ours", "upstream", "ours") }
func TestDataFromUpstream(t *testing.T) { handDown(t, "upstream", "ours", "upstream") }

func handDown(t *testing.T, order ...string) {
	if err := upstream.Build(t.Context(), upstream.Dir(), upstream.Plane...); err != nil {
		t.Fatal(err)
	}
	var seeds []Seed
	dir, shown := "", map[string]any{}
	for i, name := range order {
		o := openers[name](t, dir)
		h := heir{t, o.side, fmt.Sprintf("%s, number %d", name, i+1)}
		if i == 0 {
			seeds = h.sow()
		} else {
			h.compare(seeds, shown)
		}
		h.change(seeds, i)
		shown = h.show(seeds)
		if err := o.end(); err != nil {
			t.Fatal(err)
		}
		dir = o.dir
	}
}

// An heir is one server that got the data.
type heir struct {
	*testing.T
	side *Side
	name string
}

func (h heir) must(r Request, codes ...int) Answer {
	h.Helper()
	a, err := h.side.ask(h.Context(), r)
	if err != nil {
		h.Fatal(err)
	}
	for _, c := range codes {
		if a.Code == c {
			return a
		}
	}
	h.Errorf("%s: %s %s: %d: %s", h.name, r.Method, r.Path, a.Code, message(a))
	return a
}

const dataNamespace = "handed-down"

func object(s Seed) string { return s.Kind.List(dataNamespace) + "/" + s.Name() }

// sow makes one object of each kind.
func (h heir) sow() []Seed {
	h.side.vars["csr"], h.side.vars["csrDER"] = csr(h.T)
	h.side.vars["ns"], h.side.vars["ca"] = dataNamespace, authority(h.T)
	seeds, err := Seeds(kindsOf(h.T, h.side))
	if err != nil {
		h.Fatal(err)
	}
	h.must(Request{Method: http.MethodPost, Path: "/api/v1/namespaces", Body: `{"metadata":{"name":"` + dataNamespace + `"}}`}, http.StatusCreated)
	h.must(Request{Method: http.MethodPost, Path: "/api/v1/namespaces/" + dataNamespace + "/serviceaccounts", Body: `{"metadata":{"name":"default"}}`}, http.StatusCreated)
	for _, s := range seeds {
		h.must(Request{Method: http.MethodPost, Path: s.Kind.List(dataNamespace), Body: s.Body(s.Name())}, http.StatusCreated)
	}
	return seeds
}

func (h heir) change(seeds []Seed, number int) {
	for _, s := range seeds {
		h.must(Request{Method: http.MethodPatch, Path: object(s), Type: mergeType, Body: fmt.Sprintf(`{"metadata":{"annotations":{"heir":"%d"}}}`, number)}, http.StatusOK)
	}
}

func (h heir) show(seeds []Seed) map[string]any {
	out := map[string]any{}
	for _, s := range seeds {
		out[object(s)] = h.must(Request{Method: http.MethodGet, Path: object(s)}, http.StatusOK).Body
	}
	return out
}

// compare wants everything as the server before showed it, revisions and identities included.
func (h heir) compare(seeds []Seed, before map[string]any) {
	now := h.show(seeds)
	for _, s := range seeds {
		was, is := before[object(s)], now[object(s)]
		if restless[s.Kind.Resource] { // upstream's API server writes to them when it starts
			still(was)
			still(is)
		}
		if text(was) != text(is) {
			h.Errorf("%s: %s was\n%s\nand is\n%s", h.name, s.Kind.ID(), text(was), text(is))
		}
	}
	for _, s := range seeds {
		a := h.must(Request{Method: http.MethodGet, Path: s.Kind.List(dataNamespace)}, http.StatusOK)
		if items, ok := lookup(a.Body, "items").([]any); !ok || len(items) == 0 {
			h.Errorf("%s: %s is not listed", h.name, s.Kind.ID())
		}
	}
}

// still takes out what changes by itself.
func still(v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		delete(meta, "resourceVersion")
		delete(meta, "managedFields")
	}
}
