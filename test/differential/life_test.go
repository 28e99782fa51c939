package differential

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	tableType   = "application/json;as=Table;v=v1;g=meta.k8s.io"
	partialType = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	partialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	protoType   = "application/vnd.kubernetes.protobuf"
	yamlType    = "application/yaml"
	mergeType   = "application/merge-patch+json"
	jsonPatch   = "application/json-patch+json"
	strategic   = "application/strategic-merge-patch+json"
	applyType   = "application/apply-patch+yaml"
)

// reading are the ways in which an object or a list can be asked for.
var reading = []struct{ name, accept string }{
	{"json", ""}, {"yaml", yamlType}, {"protobuf", protoType}, {"table", tableType}, {"partial", partialType}, {"partials", partialList},
	{"protobuf table", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io"}, {"any", "*/*"}, {"kubectl", tableType + ",application/json"},
	{"text", "text/plain"}, {"beta table", "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}, {"odd table", "application/json;as=Table;v=v9;g=meta.k8s.io"},
	{"cbor", "application/cbor"}, {"partial protobuf", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"},
}

// namespace makes a namespace that pods can be made in.
func (p *Pair) namespace(name string) {
	p.t.Helper()
	p.Ask("namespace", Request{Method: http.MethodPost, Path: "/api/v1/namespaces", Body: `{"metadata":{"name":"` + name + `"}}`})
	p.Ask("namespace account", Request{Method: http.MethodPost, Path: "/api/v1/namespaces/" + name + "/serviceaccounts", Body: `{"metadata":{"name":"default"}}`})
}

// story is one seed's requests.
type story struct {
	*Pair
	Seed
	step string // begin of all step names
	list string
	one  string
}

func (s *story) ask(step, method, path, body, media string) (Answer, Answer) {
	s.t.Helper()
	return s.Ask(s.step+step, Request{Method: method, Path: path, Body: body, Type: media})
}

// life takes one object of a kind through every verb.
func life(p *Pair, seed Seed, ns string) {
	p.t.Helper()
	s := &story{Pair: p, Seed: seed, step: "life/" + seed.Kind.ID() + "/", list: seed.Kind.List(ns), one: seed.Kind.List(ns) + "/" + seed.Name()}
	if seed.Kind.Namespaced {
		p.namespace(ns)
	}
	p.Set("ns", ns)
	p.Ask(s.step+"list before", Request{Method: http.MethodGet, Path: s.query("limit=500"), Save: map[string]string{"before " + seed.Kind.ID(): "metadata.resourceVersion"}})
	s.ask("dry create", http.MethodPost, s.list+"?dryRun=All", s.Body(s.Name()), "")
	p.Ask(s.step+"dry create in protobuf", Request{Method: http.MethodPost, Path: s.list + "?dryRun=All", Body: s.Body(s.Name()), Accept: protoType})
	p.Ask(s.step+"dry create as a table", Request{Method: http.MethodPost, Path: s.list + "?dryRun=All", Body: s.Body(s.Name()), Accept: tableType})
	s.ask("get none", http.MethodGet, s.one, "", "")
	p.Ask(s.step+"create", Request{Method: http.MethodPost, Path: s.list + "?fieldManager=maker&fieldValidation=Strict", Body: s.Body(s.Name()), Save: map[string]string{"uid": "metadata.uid", "rv": "metadata.resourceVersion"}})
	s.settle()
	s.ask("create again", http.MethodPost, s.list, s.Body(s.Name()), "")
	s.read()
	s.update()
	s.patch()
	s.subresources()
	const ignoring = "?ignoreStoreReadErrorWithClusterBreakingPotential=true"
	s.ask("delete though unreadable", http.MethodDelete, s.one+ignoring, "", "")
	s.ask("delete though unreadable, none", http.MethodDelete, s.list+"/none"+ignoring, "", "")
	s.ask("delete all though unreadable", http.MethodDelete, s.list+ignoring, "", "")
	s.end()
}

// query is the path of a list. What lies in no namespace is looked at by name: both servers have objects of their own
// there, and part bootstrap compares them.
func (s *story) query(q string) string {
	if !s.Kind.Namespaced && !strings.Contains(q, "fieldSelector=metadata.name!") && !strings.Contains(q, "fieldSelector") {
		q += "&fieldSelector=metadata.name%3D" + s.Name()
	}
	return s.list + "?" + q
}

// restless are the kinds to whose status upstream's API server itself writes, a moment after they have been made.
var restless = map[string]bool{"customresourcedefinitions": true, "apiservices": true, "flowschemas": true, "prioritylevelconfigurations": true, "servicecidrs": true}

// settle waits until upstream has written the status of a kind whose every object gets one.
func (s *story) settle() {
	s.t.Helper()
	switch s.Kind.Resource {
	case "customresourcedefinitions", "apiservices", "flowschemas":
	default:
		return
	}
	get := Request{Method: http.MethodGet, Path: s.one, Save: map[string]string{"rv": "metadata.resourceVersion"}}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if _, theirs := s.both(s.t.Context(), get); lookup(theirs.Body, "status.conditions") != nil {
			return
		}
		select {
		case <-s.t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Errorf("%s: upstream writes no status", s.Kind.ID())
}

func (s *story) read() {
	s.t.Helper()
	for _, r := range reading {
		s.Ask(s.step+"get "+r.name, Request{Method: http.MethodGet, Path: s.one, Accept: r.accept})
		s.Ask(s.step+"list "+r.name, Request{Method: http.MethodGet, Path: s.query("limit=500"), Accept: r.accept})
	}
	for _, q := range []string{"labelSelector=app%3Dweb", "labelSelector=app+notin+(web)", "labelSelector=kept", "fieldSelector=metadata.name%3D" + s.Name(),
		"fieldSelector=metadata.name!%3D" + s.Name(), "fieldSelector=spec.nosuch%3D1", "resourceVersion=0", "resourceVersion=${rv}&resourceVersionMatch=Exact",
		"resourceVersion=${rv}&resourceVersionMatch=NotOlderThan", "resourceVersion=1&resourceVersionMatch=Exact&limit=1", "limit=1"} {
		s.ask("list ?"+q, http.MethodGet, s.query(q), "", "")
	}
	if s.Kind.Namespaced {
		s.ask("list all", http.MethodGet, s.Kind.List("")+"?fieldSelector=metadata.namespace%3D${ns}", "", "")
	}
	s.ask("head", http.MethodHead, s.one, "", "")
	s.ask("options", http.MethodOptions, s.one, "", "")
	s.ask("get revision", http.MethodGet, s.one+"?resourceVersion=${rv}", "", "")
	s.Ask(s.step+"table with object", Request{Method: http.MethodGet, Path: s.one + "?includeObject=Object", Accept: tableType})
	s.Ask(s.step+"table without object", Request{Method: http.MethodGet, Path: s.one + "?includeObject=None", Accept: tableType})
}

func (s *story) update() {
	s.t.Helper()
	o := s.Named(s.Name())
	s.ask("put without revision", http.MethodPut, s.one+"?dryRun=All", text(o), "")
	meta := o["metadata"].(map[string]any)
	meta["resourceVersion"] = "${rv}"
	s.ask("put same", http.MethodPut, s.one+"?fieldManager=maker", text(o), "")
	labels, _ := meta["labels"].(map[string]any)
	meta["labels"] = with(labels, "put", "yes")
	s.Ask(s.step+"put label", Request{Method: http.MethodPut, Path: s.one + "?fieldManager=putter", Body: text(o), Save: map[string]string{"rv2": "metadata.resourceVersion"}})
	meta["labels"] = with(labels, "put", "stale")
	s.ask("put stale", http.MethodPut, s.one, text(o), "")
	meta["resourceVersion"] = "${rv2}"
	meta["uid"] = "11111111-2222-3333-4444-555555555555"
	s.ask("put other uid", http.MethodPut, s.one, text(o), "")
	delete(meta, "uid")
	meta["resourceVersion"] = "odd"
	s.ask("put odd revision", http.MethodPut, s.one, text(o), "")
	meta["name"] = "other-name"
	s.ask("put odd revision, none", http.MethodPut, s.list+"/other-name", text(o), "")
	meta["resourceVersion"] = "${rv2}"
	s.ask("put other name", http.MethodPut, s.one, text(o), "")
	delete(meta, "resourceVersion")
	s.ask("put none", http.MethodPut, s.list+"/other-name", text(o), "")
	s.ask("put none, dry", http.MethodPut, s.list+"/other-name?dryRun=All", text(o), "")
	s.ask("delete what put made", http.MethodDelete, s.list+"/other-name", "", "")
}

func with(m map[string]any, k string, v any) map[string]any {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	m[k] = v
	return m
}

func (s *story) patch() {
	s.t.Helper()
	change := text(s.Change)
	s.ask("dry merge", http.MethodPatch, s.one+"?dryRun=All", change, mergeType)
	s.ask("merge", http.MethodPatch, s.one+"?fieldManager=merger", change, mergeType)
	s.ask("merge again", http.MethodPatch, s.one+"?fieldManager=merger", change, mergeType)
	s.ask("strategic", http.MethodPatch, s.one, text(map[string]any{"metadata": map[string]any{"annotations": map[string]any{"by": "strategic"}}}), strategic)
	s.ask("strategic change", http.MethodPatch, s.one+"?dryRun=All", change, strategic)
	s.ask("json", http.MethodPatch, s.one, `[{"op":"add","path":"/metadata/labels","value":{"json":"yes"}}]`, jsonPatch)
	s.ask("json test fails", http.MethodPatch, s.one, `[{"op":"test","path":"/metadata/name","value":"nobody"}]`, jsonPatch)
	s.ask("json no path", http.MethodPatch, s.one, `[{"op":"remove","path":"/metadata/nowhere"}]`, jsonPatch)
	s.ask("merge unknown field, strict", http.MethodPatch, s.one+"?fieldValidation=Strict", `{"nonsense":1}`, mergeType)
	s.ask("merge unknown field, warn", http.MethodPatch, s.one, `{"nonsense":1,"metadata":{"nonsense":2}}`, mergeType)
	s.ask("merge stale", http.MethodPatch, s.one, `{"metadata":{"resourceVersion":"1","labels":{"x":"y"}}}`, mergeType)
	s.ask("merge name", http.MethodPatch, s.one, `{"metadata":{"name":"renamed"}}`, mergeType)
	s.ask("merge none", http.MethodPatch, s.list+"/nobody", `{}`, mergeType)
	s.ask("patch without type", http.MethodPatch, s.one, `{}`, "application/json")
	apply := s.Named(s.Name())
	apply["metadata"] = map[string]any{"name": s.Name(), "labels": map[string]any{"applied": "yes"}}
	s.ask("apply without manager", http.MethodPatch, s.one, text(apply), applyType)
	s.ask("apply", http.MethodPatch, s.one+"?fieldManager=applier", text(apply), applyType)
	s.ask("apply, force", http.MethodPatch, s.one+"?fieldManager=applier&force=true", text(apply), applyType)
	s.ask("apply again", http.MethodPatch, s.one+"?fieldManager=applier&force=true", text(apply), applyType)
	small := map[string]any{"apiVersion": apply["apiVersion"], "kind": apply["kind"], "metadata": map[string]any{"annotations": map[string]any{"small": "yes"}}}
	s.ask("apply less", http.MethodPatch, s.one+"?fieldManager=other&dryRun=All", text(small), applyType)
	s.ask("get after patches", http.MethodGet, s.one, "", "")
}

func (s *story) subresources() {
	s.t.Helper()
	for _, sub := range slices.Sorted(maps.Keys(s.Kind.Subresources)) {
		if sub != "status" && sub != "scale" || restless[s.Kind.Resource] {
			continue
		}
		path := s.one + "/" + sub
		a, _ := s.ask("get "+sub, http.MethodGet, path, "", "")
		s.Ask(s.step+"get table "+sub, Request{Method: http.MethodGet, Path: path, Accept: tableType})
		body, ok := a.Body.(map[string]any)
		if !ok || a.Code != 200 {
			continue
		}
		change := map[string]any{"status": s.Status}
		if sub == "scale" {
			change = map[string]any{"spec": map[string]any{"replicas": 7}}
		}
		s.ask("dry merge "+sub, http.MethodPatch, path+"?dryRun=All", text(change), mergeType)
		s.ask("merge "+sub, http.MethodPatch, path+"?fieldManager=controller", text(change), mergeType)
		s.ask("merge label by "+sub, http.MethodPatch, path, `{"metadata":{"labels":{"by":"`+sub+`"}}}`, mergeType)
		s.ask("strategic "+sub, http.MethodPatch, path, text(change), strategic)
		for k, v := range change {
			body[k] = v
		}
		meta := body["metadata"].(map[string]any)
		delete(meta, "resourceVersion")
		delete(meta, "uid")
		delete(meta, "managedFields")
		s.ask("put "+sub, http.MethodPut, path+"?fieldManager=putter", text(body), "")
		apply := map[string]any{"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": map[string]any{"name": s.Name()}}
		maps.Copy(apply, change)
		s.ask("apply "+sub, http.MethodPatch, path+"?fieldManager=applier&force=true", text(apply), applyType)
		s.ask("delete "+sub, http.MethodDelete, path, "", "")
		s.ask("post "+sub, http.MethodPost, path, "{}", "")
	}
	s.ask("no such subresource", http.MethodGet, s.one+"/nosuch", "", "")
	s.ask("get after subresources", http.MethodGet, s.one, "", "")
}

func (s *story) end() {
	s.t.Helper()
	s.ask("delete, other uid", http.MethodDelete, s.one, `{"preconditions":{"uid":"11111111-2222-3333-4444-555555555555"}}`, "")
	s.ask("delete, stale", http.MethodDelete, s.one, `{"preconditions":{"resourceVersion":"1"}}`, "")
	s.ask("delete, odd policy", http.MethodDelete, s.one, `{"propagationPolicy":"Sideways"}`, "")
	s.ask("delete, both policies", http.MethodDelete, s.one, `{"propagationPolicy":"Orphan","orphanDependents":true}`, "")
	s.ask("delete, negative grace", http.MethodDelete, s.one+"?dryRun=All", `{"gracePeriodSeconds":-1}`, "")
	s.ask("delete, dry", http.MethodDelete, s.one+"?dryRun=All", "", "")
	s.ask("delete, dry body", http.MethodDelete, s.one, `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`, "")
	s.ask("finalizer", http.MethodPatch, s.one, `{"metadata":{"finalizers":["example.com/hold"]}}`, mergeType)
	s.ask("delete, held", http.MethodDelete, s.one+"?gracePeriodSeconds=0&propagationPolicy=Background", "", "")
	s.ask("get held", http.MethodGet, s.one, "", "")
	s.ask("delete, held again", http.MethodDelete, s.one, "", "")
	s.ask("add finalizer while deleting", http.MethodPatch, s.one, `{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}`, mergeType)
	s.ask("let go", http.MethodPatch, s.one, `{"metadata":{"finalizers":null}}`, mergeType)
	s.ask("get gone", http.MethodGet, s.one, "", "")
	s.ask("delete gone", http.MethodDelete, s.one, "", "")
	if s.Kind.Resource == "namespaces" {
		s.ask("finalize", http.MethodPut, s.one+"/finalize", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+s.Name()+`"},"spec":{"finalizers":[]}}`, "")
		s.ask("get finalized", http.MethodGet, s.one, "", "")
		return
	}
	s.ask("create second", http.MethodPost, s.list, s.Body(s.Name()), "")
	s.ask("delete, orphan", http.MethodDelete, s.one, `{"propagationPolicy":"Orphan","gracePeriodSeconds":0}`, "")
	s.ask("get orphan", http.MethodGet, s.one, "", "")
	s.ask("let orphans go", http.MethodPatch, s.one, `{"metadata":{"finalizers":null}}`, mergeType)
	s.ask("create third", http.MethodPost, s.list, s.Body(s.Name()), "")
	s.ask("delete, foreground", http.MethodDelete, s.one+"?propagationPolicy=Foreground&gracePeriodSeconds=0", "", "")
	s.ask("let foreground go", http.MethodPatch, s.one, `{"metadata":{"finalizers":null}}`, mergeType)
	for i := range 3 {
		o := s.Named(fmt.Sprintf("%s-%d", s.Name(), i))
		o["metadata"].(map[string]any)["labels"] = map[string]any{"number": fmt.Sprint(i)}
		s.ask("create one of many", http.MethodPost, s.list, text(o), "")
	}
	if s.Kind.Can("deletecollection") && s.Kind.Namespaced {
		s.Ask(s.step+"page", Request{Method: http.MethodGet, Path: s.list + "?limit=1", Save: map[string]string{"next": "metadata.continue"}})
		s.ask("next page", http.MethodGet, s.list+"?limit=1&continue=${next}", "", "")
		s.ask("last page", http.MethodGet, s.list+"?limit=9&continue=${next}", "", "")
		s.ask("delete many, dry", http.MethodDelete, s.list+"?dryRun=All", "", "")
		s.ask("delete many, selected", http.MethodDelete, s.list+"?labelSelector="+url.QueryEscape("number in (0,1)"), `{"gracePeriodSeconds":0}`, "")
		s.ask("list after delete many", http.MethodGet, s.list, "", "")
		s.ask("delete many", http.MethodDelete, s.list+"?gracePeriodSeconds=0", "", "")
	} else {
		for i := range 3 {
			s.ask("delete one of many", http.MethodDelete, fmt.Sprintf("%s-%d", s.one, i), "", "")
		}
	}
	s.ask("list at the end", http.MethodGet, s.query("limit=500"), "", "")
}

// kindsOf asks upstream what it serves.
func kindsOf(t *testing.T, s *Side) (out []Kind) {
	for _, path := range []string{"/api", "/apis"} {
		a, err := s.ask(t.Context(), Request{Method: http.MethodGet, Path: path, Accept: discoveryType})
		if err != nil {
			t.Fatal(err)
		}
		kinds, err := parseKinds(a.Raw)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, kinds...)
	}
	return out
}

// lives runs every seed's story, and then looks at what a watch from its begin tells.
func lives(t *testing.T, p *Pair, seeds []Seed, kinds []Kind) {
	sown := map[string]bool{}
	for i, s := range seeds {
		sown[s.Kind.ID()] = true
		life(p, s, fmt.Sprintf("life-%d", i))
	}
	for _, k := range kinds {
		if k.Can("create") && k.Can("get") && !sown[k.ID()] {
			t.Errorf("%s has no seed", k.ID())
		}
	}
	p.watches(seeds)
}

// watches compares what watches tell that begin where each story began; they last a second, so all run at once.
func (p *Pair) watches(seeds []Seed) {
	for i, s := range seeds {
		p.asks = append(p.asks, later{"watch/" + s.Kind.ID(), Request{Method: http.MethodGet, Path: s.Kind.List(fmt.Sprintf("life-%d", i)) + "?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3D" + s.Name() + "&resourceVersion=${before " + s.Kind.ID() + "}"}})
	}
	p.together()
}

// begins compares what the servers themselves have made.
func begins(p *Pair, kinds []Kind) {
	for _, k := range kinds {
		if !k.Can("list") || k.Kind == "ComponentStatus" {
			continue
		}
		p.Ask("bootstrap/"+k.ID(), Request{Method: http.MethodGet, Path: k.List("")})
		p.Ask("bootstrap/table/"+k.ID(), Request{Method: http.MethodGet, Path: k.List(""), Accept: tableType})
	}
}
