package differential

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"
)

// wires writes each kind in every form that a body may have, and reads what comes of it in every form that an answer may
// have; then a watch of it in each.
func wires(p *Pair, seeds []Seed) {
	for i, s := range seeds {
		ns := fmt.Sprintf("wire-%d", i)
		p.Set("ns", ns)
		if s.Kind.Namespaced {
			p.namespace(ns)
		}
		p.wires(s, ns)
	}
}

func (p *Pair) wires(s Seed, ns string) {
	p.t.Helper()
	st := &story{Pair: p, Seed: s, step: "wire/" + s.Kind.ID() + "/", list: s.Kind.List(ns), one: s.Kind.List(ns) + "/" + s.Name()}
	body := p.Ours.expand(s.Body(s.Name()))
	inYAML, err := yaml.JSONToYAML([]byte(body))
	if err != nil {
		p.t.Fatal(err)
	}
	st.ask("dry yaml", http.MethodPost, st.list+"?dryRun=All", string(inYAML), yamlType)
	inProtobuf, err := inEnvelope(body)
	if err != nil {
		p.t.Fatalf("%s: %v", st.step, err)
	}
	before, _ := p.Ask(st.step+"create in protobuf", Request{Method: http.MethodPost, Path: st.list + "?fieldManager=maker", Body: string(inProtobuf), Type: protoType, Accept: protoType, Save: map[string]string{"rv": "metadata.resourceVersion"}})
	st.settle()
	if before.Code != http.StatusCreated {
		return
	}
	st.ask("put protobuf", http.MethodPut, st.one+"?dryRun=All&fieldManager=putter", string(inProtobuf), protoType)
	st.ask("put yaml", http.MethodPut, st.one+"?dryRun=All&fieldManager=putter", string(inYAML), yamlType)
	for _, accept := range []string{"", yamlType, protoType, tableType, partialType, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/yaml;as=Table;v=v1;g=meta.k8s.io", "application/yaml;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"} {
		p.Ask(st.step+"dry patch as "+accept, Request{Method: http.MethodPatch, Path: st.one + "?dryRun=All", Body: text(s.Change), Type: mergeType, Accept: accept})
		p.Ask(st.step+"dry delete as "+accept, Request{Method: http.MethodDelete, Path: st.one + "?dryRun=All", Accept: accept})
		p.Ask(st.step+"dry delete all as "+accept, Request{Method: http.MethodDelete, Path: st.query("dryRun=All"), Accept: accept})
		if !slices.Contains(watchedInAllForms, path.Base(st.list)) {
			continue
		}
		for _, q := range []string{"", "&resourceVersion=0", "&resourceVersion=0&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"} {
			p.asks = append(p.asks, later{st.step + "watch " + q + " as " + accept, Request{Method: http.MethodGet, Path: st.query("watch=1&timeoutSeconds=1" + q), Accept: accept}})
		}
	}
	p.together()
	options, err := inEnvelope(`{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"propagationPolicy":"Background"}`)
	if err != nil {
		p.t.Fatal(err)
	}
	st.ask("dry delete, yaml", http.MethodDelete, st.one, "gracePeriodSeconds: 0\ndryRun: [All]\n", yamlType)
	st.ask("delete, protobuf", http.MethodDelete, st.one, string(options), protoType)
	st.ask("let go", http.MethodPatch, st.one, `{"metadata":{"finalizers":null}}`, mergeType)
}

// watchedInAllForms are the kinds whose watches are asked for in every form; each takes seconds.
var watchedInAllForms = []string{"configmaps", "pods", "services", "events", "deployments", "clusterroles"}

// inEnvelope encodes an object as protobuf.
func inEnvelope(body string) ([]byte, error) {
	v, err := jsonValue([]byte(body))
	if err != nil {
		return nil, err
	}
	gvk := schema.FromAPIVersionAndKind(fmt.Sprint(lookup(v, "apiVersion")), fmt.Sprint(lookup(v, "kind")))
	if gvk.Kind == "DeleteOptions" {
		gvk = schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	}
	obj, err := decoding.New(gvk)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON([]byte(body)); err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj); err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	var out bytes.Buffer
	err = protobuf.NewSerializer(decoding, decoding).Encode(obj, &out)
	return out.Bytes(), err
}

// zipped compares which answers are compressed.
func zipped(p *Pair) {
	p.namespace("zipped")
	for i := range 40 {
		p.Ask("zip/create", Request{Method: http.MethodPost, Path: "/api/v1/namespaces/zipped/configmaps", Body: fmt.Sprintf(`{"metadata":{"name":"c%d"},"data":{"text":%q}}`, i, strings.Repeat("abcdefgh", 640))})
	}
	for _, path := range []string{"/api/v1/namespaces/zipped/configmaps", "/api/v1/namespaces/zipped/configmaps?limit=3", "/api/v1/namespaces/zipped/configmaps/c1", "/api", "/apis", "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/version", "/metrics",
		"/api/v1/namespaces/zipped/configmaps?watch=1&timeoutSeconds=1&resourceVersion=0"} {
		for _, encoding := range []string{"gzip", "gzip, deflate", "deflate", "identity", "gzip;q=0", "*", "br"} {
			for _, accept := range []string{"", protoType, tableType} {
				r := Request{Method: http.MethodGet, Path: path, Accept: accept, Header: map[string]string{"Accept-Encoding": encoding}, headOnly: true}
				o, t := p.both(p.t.Context(), r)
				p.Asked++
				p.note("zip/"+path+" "+encoding+" "+accept, r, p.pairs.compare(encodings(o), encodings(t)))
			}
		}
	}
}

// encodings leaves of an answer what says how it is written.
func encodings(a Answer) Answer {
	h := http.Header{}
	for _, name := range []string{"Content-Encoding", "Vary"} {
		if v := a.Header[name]; v != nil {
			h[name] = v
		}
	}
	return Answer{Code: a.Code, Header: h}
}
