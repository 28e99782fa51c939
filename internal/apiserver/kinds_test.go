package apiserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/api/apitest"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestEveryKindLivesItsLife takes upstream's own example of each kind through create, get, list, watch, patch and
// delete, over HTTP, and looks at its key in the store.
func TestEveryKindLivesItsLife(t *testing.T) {
	srv := apiservertest.Start(t)
	l := &life{T: t, base: srv.URL}
	l.must(http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"`+apitest.StubNamespace+`"}}`, 201)
	lived := 0
	for _, s := range apitest.Stubs(t) {
		r := api.Find(s.GVR)
		if r == nil || !r.Stored() || !r.Can("create") {
			continue
		}
		lived++
		t.Run(strings.Trim(s.GVR.Group+"."+s.GVR.Version+"."+s.GVR.Resource, "."), func(t *testing.T) {
			(&life{T: t, base: srv.URL}).live(r, s, func(key string) bool {
				_, found, _, err := srv.Store.Get(t.Context(), key)
				return found && err == nil
			})
		})
	}
	if lived < 60 {
		t.Errorf("only %d kinds lived", lived)
	}
}

type life struct {
	*testing.T
	base string
}

// do sends a request and returns the answer's code and body.
func (l *life) do(method, path, body string) (int, map[string]any) {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), method, l.base+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	var out map[string]any
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&out); err != nil {
		l.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	return resp.StatusCode, out
}

func (l *life) must(method, path, body string, codes ...int) map[string]any {
	l.Helper()
	code, out := l.do(method, path, body)
	for _, want := range codes {
		if code == want {
			return out
		}
	}
	l.Fatalf("%s %s: %d: %v", method, path, code, out["message"])
	return nil
}

func (l *life) live(r *api.Resource, s apitest.Stub, stored func(key string) bool) {
	var obj map[string]any
	if err := json.Unmarshal([]byte(s.JSON), &obj); err != nil {
		l.Fatal(err)
	}
	obj["apiVersion"], obj["kind"] = r.GroupVersion.String(), r.Kind
	body, err := json.Marshal(obj)
	if err != nil {
		l.Fatal(err)
	}
	root := "/apis/" + r.GroupVersion.String()
	if r.GroupVersion.Group == "" {
		root = "/api/v1"
	}
	if r.Namespaced {
		root += "/namespaces/" + apitest.StubNamespace
	}
	list := root + "/" + r.Name
	before := version(l.must(http.MethodGet, list, "", 200))
	meta := obj["metadata"].(map[string]any)
	one := list + "/" + meta["name"].(string)
	made := l.must(http.MethodPost, list, string(body), 201)
	if made["kind"] != r.Kind || made["metadata"].(map[string]any)["uid"] == nil {
		l.Errorf("created as %v %v", made["kind"], made["metadata"])
	}
	if key := s.Path; !stored(key) {
		l.Errorf("not stored under %s", key)
	}
	l.must(http.MethodGet, one, "", 200)
	if items := l.must(http.MethodGet, list, "", 200)["items"].([]any); len(items) == 0 {
		l.Error("not listed")
	}
	patched := l.must(http.MethodPatch, one, `{"metadata":{"labels":{"lived":"yes"}}}`, 200)
	if patched["metadata"].(map[string]any)["labels"].(map[string]any)["lived"] != "yes" {
		l.Error("the patch did not take")
	}
	l.must(http.MethodDelete, one+"?gracePeriodSeconds=0", `{}`, 200, 202)
	if r.Name == "namespaces" { // its deletion ends with the controller's finalize
		l.must(http.MethodPut, one+"/finalize", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+meta["name"].(string)+`"},"spec":{"finalizers":[]}}`, 200)
	}
	if code, still := l.do(http.MethodGet, one, ""); code != 404 {
		// Finalizers of its own hold it: the deletion has begun, and goes through once they are taken off.
		if still["metadata"].(map[string]any)["deletionTimestamp"] == nil {
			l.Fatalf("not deleted: %v", still["metadata"])
		}
		l.must(http.MethodPatch, one, `{"metadata":{"finalizers":null}}`, 200)
	}
	l.follow(list+"?watch=1&timeoutSeconds=60&resourceVersion="+before+"&fieldSelector=metadata.name%3D"+meta["name"].(string), "ADDED", "MODIFIED", "DELETED")
}

func version(list map[string]any) string {
	return list["metadata"].(map[string]any)["resourceVersion"].(string)
}

// follow reads a watch until the wanted events have come in this order.
func (l *life) follow(path string, want ...string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+path, nil)
	if err != nil {
		l.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer resp.Body.Close()
	var seen []string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var e struct{ Type string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			l.Fatalf("%v: %s", err, lines.Bytes())
		}
		seen = append(seen, e.Type)
		if e.Type == want[0] {
			if want = want[1:]; len(want) == 0 {
				return
			}
		}
	}
	l.Error(fmt.Sprintf("watch saw %v, still wanted %v", seen, want))
}
