package differential

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// bad sends requests that a server must refuse, or take with a warning, to a kind.
func bad(p *Pair, s Seed, ns string) {
	p.t.Helper()
	step := "bad/" + s.Kind.ID() + "/"
	list := s.Kind.List(ns)
	one := list + "/" + s.Name()
	body := s.Body(s.Name())
	post := func(name, body string) {
		p.t.Helper()
		p.Ask(step+name, Request{Method: http.MethodPost, Path: list + "?dryRun=All", Body: body})
	}
	for _, b := range []struct{ name, body string }{
		{"empty object", `{}`}, {"null", `null`}, {"array", `[]`}, {"number", `7`}, {"string", `"x"`}, {"cut", body[:len(body)/2]}, {"no JSON", `hello`},
		{"two objects", body + body}, {"kind alone", `{"kind":"` + s.Kind.Kind + `"}`}, {"no name", s.without("metadata.name")},
		{"no metadata", s.without("metadata")}, {"no apiVersion", s.without("apiVersion")}, {"no kind", s.without("kind")},
		{"other kind", s.set("kind", "Nonsense")}, {"other version", s.set("apiVersion", "nonsense/v9")}, {"odd version", s.set("apiVersion", "a/b/c")},
		{"known kind", s.set("kind", "ConfigMap")}, {"lower kind", s.set("kind", strings.ToLower(s.Kind.Kind))},
		{"metadata string", s.set("metadata", "x")}, {"name number", s.set("metadata.name", 7)}, {"labels list", s.set("metadata.labels", []any{"a"})},
		{"upper name", s.set("metadata.name", "UPPER")}, {"odd name", s.set("metadata.name", "a/b")}, {"dotted name", s.set("metadata.name", "..")}, {"long name", s.set("metadata.name", strings.Repeat("a", 254))},
		{"long label name", s.set("metadata.name", strings.Repeat("a", 64))}, {"space name", s.set("metadata.name", "a b")}, {"percent name", s.set("metadata.name", "a%b")},
		{"generateName", s.generate("made-")}, {"odd generateName", s.generate("Made_")}, {"long generateName", s.generate(strings.Repeat("g", 70))}, {"both names", s.set("metadata.generateName", "made-")},
		{"other namespace", s.set("metadata.namespace", "elsewhere")}, {"revision given", s.set("metadata.resourceVersion", "1")}, {"uid given", s.set("metadata.uid", "11111111-2222-3333-4444-555555555555")},
		{"odd label", s.set("metadata.labels", map[string]any{"a b": "c d"})}, {"long label", s.set("metadata.labels", map[string]any{"a": strings.Repeat("x", 64)})},
		{"odd annotation", s.set("metadata.annotations", map[string]any{"a b": "c"})}, {"empty label", s.set("metadata.labels", map[string]any{"": ""})},
		{"long annotation", s.set("metadata.annotations", map[string]any{"a": strings.Repeat("x", 257<<10)})},
		{"odd finalizer", s.set("metadata.finalizers", []any{"nonsense"})}, {"same finalizers", s.set("metadata.finalizers", []any{"a/b", "a/b"})}, {"empty finalizer", s.set("metadata.finalizers", []any{""})},
		{"odd owner", s.set("metadata.ownerReferences", []any{map[string]any{"kind": "x"}})}, {"two controllers", s.set("metadata.ownerReferences", []any{owner("a"), owner("b")})},
		{"deleted", s.set("metadata.deletionTimestamp", "2026-01-02T03:04:05Z")}, {"odd time", s.set("metadata.creationTimestamp", "yesterday")}, {"generation given", s.set("metadata.generation", 5)},
		{"managed fields given", s.set("metadata.managedFields", []any{map[string]any{"manager": "x", "operation": "Update", "apiVersion": s.Kind.GroupVersion, "fieldsType": "FieldsV1", "fieldsV1": map[string]any{"f:metadata": map[string]any{"f:labels": map[string]any{"f:a": map[string]any{}}}}}})},
		{"odd managed fields", s.set("metadata.managedFields", []any{map[string]any{"manager": "x", "operation": "Guess"}})}, {"status given", s.set("status", map[string]any{"phase": "Odd"})},
		{"null spec", s.set("spec", nil)}, {"string spec", s.set("spec", "x")}, {"list spec", s.set("spec", []any{})}, {"self link", s.set("metadata.selfLink", "/x")},
	} {
		post(b.name, b.body)
	}
	for _, v := range []string{"Strict", "Warn", "Ignore", "Nonsense", ""} {
		for _, b := range []struct{ name, body string }{
			{"unknown field", s.set("nonsense", 1)}, {"unknown deep", s.set("metadata.nonsense", map[string]any{"a": 1})},
			{"twice", strings.Replace(body, `{"apiVersion"`, `{"apiVersion":"x","apiVersion"`, 1)}, {"case", strings.Replace(body, `"metadata"`, `"Metadata"`, 1)},
		} {
			p.Ask(step+b.name+" "+v, Request{Method: http.MethodPost, Path: list + "?dryRun=All&fieldValidation=" + v, Body: b.body})
			p.Ask(step+"yaml "+b.name+" "+v, Request{Method: http.MethodPost, Path: list + "?dryRun=All&fieldValidation=" + v, Body: b.body, Type: yamlType})
		}
	}
	for _, q := range []string{"dryRun=None", "dryRun=All&dryRun=All", "dryRun=", "fieldManager=" + strings.Repeat("m", 129), "fieldManager=a%01b", "pretty=true&dryRun=All", "nonsense=1&dryRun=All", "timeout=x&dryRun=All"} {
		p.Ask(step+"create ?"+q, Request{Method: http.MethodPost, Path: list + "?" + q, Body: body})
		p.both(p.t.Context(), Request{Method: http.MethodDelete, Path: one})
	}
	if generic[s.Kind.Resource] {
		oddRequests(p, s, step, list)
	}
	if s.Kind.Namespaced {
		p.Ask(step+"create in no namespace", Request{Method: http.MethodPost, Path: s.Kind.List("") + "?dryRun=All", Body: body})
		p.Ask(step+"create in unknown namespace", Request{Method: http.MethodPost, Path: s.Kind.List("nowhere") + "?dryRun=All", Body: body})
		p.Ask(step+"list in unknown namespace", Request{Method: http.MethodGet, Path: s.Kind.List("nowhere")})
		p.Ask(step+"get in no namespace", Request{Method: http.MethodGet, Path: s.Kind.List("") + "/x"})
		p.Ask(step+"delete in no namespace", Request{Method: http.MethodDelete, Path: s.Kind.List("")})
	} else {
		p.Ask(step+"in a namespace", Request{Method: http.MethodGet, Path: s.Kind.Root() + "/namespaces/default/" + s.Kind.Resource})
	}
}

// generic are the kinds whose paths and queries stand for all.
var generic = map[string]bool{"pods": true, "configmaps": true, "nodes": true, "deployments": true, "events": true, "horizontalpodautoscalers": true}

// oddRequests are what depends on a kind little or not at all.
func oddRequests(p *Pair, s Seed, step, list string) {
	p.t.Helper()
	one := list + "/" + s.Name()
	body := s.Body(s.Name())
	for _, q := range []string{"labelSelector=a%3D%3D%3Db", "labelSelector=in+in+in", "labelSelector=a+in+()", "labelSelector=!a", "labelSelector=a>1", "labelSelector=a>b", "labelSelector=-a", "labelSelector=" + url.QueryEscape("a="+strings.Repeat("x", 64)),
		"fieldSelector=nonsense", "fieldSelector=metadata.name", "fieldSelector=metadata.labels%3Da", "fieldSelector=metadata.name%3D%3Da,metadata.name!%3Db", "fieldSelector=a\\", "limit=x", "limit=-1", "limit=0", "continue=x", "continue=" + "e30",
		"resourceVersion=x", "resourceVersion=-1", "resourceVersion=0&resourceVersionMatch=Exact", "resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=Odd", "resourceVersion=999999999", "continue=x&resourceVersion=1",
		"watch=x&limit=1&timeoutSeconds=1", "sendInitialEvents=true", "sendInitialEvents=true&watch=1&timeoutSeconds=1", "watch=1&resourceVersion=x&timeoutSeconds=1", "watch=1&allowWatchBookmarks=x&timeoutSeconds=1",
		"watch=1&timeoutSeconds=x", "watch=1&resourceVersionMatch=Exact&timeoutSeconds=1", "watch=1&limit=x", "watch=1&resourceVersion=999999999&timeoutSeconds=1", "watch=1&continue=x&timeoutSeconds=1",
		"watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1", "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=1",
		"timeoutSeconds=x", "shards=2", "allowWatchBookmarks=true", "watch=0", "watch=false", "pretty=1", "includeObject=Odd"} {
		p.Ask(step+"list ?"+q, Request{Method: http.MethodGet, Path: list + "?" + q})
	}
	p.Ask(step+"table odd include", Request{Method: http.MethodGet, Path: list + "?includeObject=Odd", Accept: tableType})
	p.Ask(step+"bad revision table", Request{Method: http.MethodGet, Path: list + "?resourceVersion=x", Accept: tableType})
	for _, m := range []string{"text/plain", "application/json; charset=utf-8", "application/x", "", "application/vnd.kubernetes.protobuf", "application/cbor", "application/yaml"} {
		p.Ask(step+"body as "+m, Request{Method: http.MethodPost, Path: list + "?dryRun=All", Body: body, Header: map[string]string{"Content-Type": m}})
	}
	for _, m := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE", "OPTIONS"} {
		p.Ask(step+m+" name", Request{Method: m, Path: list + "/nobody", Body: "{}"})
		if m != "DELETE" {
			p.Ask(step+m+" list", Request{Method: m, Path: list + "?dryRun=All", Body: "{}"})
		}
	}
	for _, path := range []string{list + "/", list + "/a/b/c", one + "/status/x", list + "//" + s.Name(), one + "/", list + "/%2e%2e", s.Kind.Root() + "/nosuch", s.Kind.Root() + "/nosuch/x"} {
		p.Ask(step+"path "+strings.ReplaceAll(path, list, "LIST"), Request{Method: http.MethodGet, Path: path})
	}
}

func owner(name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "11111111-2222-3333-4444-555555555555", "controller": true}
}

// set is the seed as JSON with one value changed.
func (s Seed) set(path string, v any) string {
	o := s.Named(s.Name())
	put(o, strings.Split(path, "."), v)
	return text(o)
}

func put(m map[string]any, path []string, v any) {
	if len(path) == 1 {
		m[path[0]] = v
		return
	}
	next, ok := m[path[0]].(map[string]any)
	if !ok {
		next = map[string]any{}
		m[path[0]] = next
	}
	put(next, path[1:], v)
}

// without is the seed as JSON with one value taken out.
func (s Seed) without(path string) string {
	o := s.Named(s.Name())
	m := o
	parts := strings.Split(path, ".")
	for _, name := range parts[:len(parts)-1] {
		m = m[name].(map[string]any)
	}
	delete(m, parts[len(parts)-1])
	return text(o)
}

// generate is the seed as JSON with a generated name.
func (s Seed) generate(prefix string) string {
	o := s.Named(s.Name())
	meta := o["metadata"].(map[string]any)
	delete(meta, "name")
	meta["generateName"] = prefix
	return text(o)
}

// bads does it for all kinds.
func bads(p *Pair, seeds []Seed) {
	for i, s := range seeds {
		ns := fmt.Sprintf("bad-%d", i)
		p.Set("ns", ns)
		if s.Kind.Namespaced {
			p.namespace(ns)
		}
		bad(p, s, ns)
	}
}
