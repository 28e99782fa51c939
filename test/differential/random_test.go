package differential

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
)

// random puts a long sequence of requests, made from a seed, to objects of a few kinds with few names, so that they meet.
// A sequence is repeated by its seed: -seed N.
func random(p *Pair, seeds []Seed, seed uint64, steps int) {
	r := rand.New(rand.NewPCG(seed, seed))
	ns := fmt.Sprintf("random-%d", seed)
	p.namespace(ns)
	p.Set("ns", ns)
	var some []Seed
	for _, s := range seeds {
		if s.Kind.Namespaced && !generic[s.Kind.Resource] || s.Kind.Resource == "configmaps" || s.Kind.Resource == "deployments" {
			some = append(some, s)
		}
	}
	r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = some[:8]
	for i := range steps {
		s := some[r.IntN(len(some))]
		name := fmt.Sprintf("r%d", r.IntN(3))
		d := dice{r, s, name, s.Kind.List(ns), fmt.Sprintf("rv %s %s", s.Kind.ID(), name)}
		req := d.request()
		p.Ask(fmt.Sprintf("random/%d/%d %s", seed, i, s.Kind.ID()), req)
	}
}

// dice throw one request.
type dice struct {
	*rand.Rand
	Seed
	name, list, rv string
}

func (d dice) of(list ...string) string { return list[d.IntN(len(list))] }

func (d dice) query() string {
	q := d.of("", "", "", "dryRun=All", "fieldManager="+d.of("a", "b", "c"), "fieldValidation="+d.of("Strict", "Warn", "Ignore"))
	if q != "" {
		return "?" + q
	}
	return ""
}

func (d dice) labels() map[string]any {
	m := map[string]any{}
	for _, k := range []string{"x", "y", "z"} {
		if d.IntN(2) == 0 {
			m[k] = d.of("1", "2")
		}
	}
	return m
}

func (d dice) object() map[string]any {
	o := d.Named(d.name)
	meta := o["metadata"].(map[string]any)
	meta["labels"] = d.labels()
	if d.IntN(3) == 0 {
		meta["finalizers"] = []any{"example.com/hold"}
	}
	if d.IntN(3) == 0 {
		meta["annotations"] = map[string]any{"n": d.of("1", "2")}
	}
	return o
}

func (d dice) request() Request {
	one := d.list + "/" + d.name
	switch d.IntN(12) {
	case 0, 1, 2:
		return Request{Method: http.MethodPost, Path: d.list + d.query(), Body: text(d.object()), Save: map[string]string{d.rv: "metadata.resourceVersion"}}
	case 3:
		return Request{Method: http.MethodGet, Path: one, Save: map[string]string{d.rv: "metadata.resourceVersion"}, Accept: d.of("", "", tableType, partialType)}
	case 4:
		return Request{Method: http.MethodGet, Path: d.list + "?labelSelector=" + url.QueryEscape(d.of("x=1", "x", "!y", "z in (1,2)", "x!=1,y")), Accept: d.of("", tableType)}
	case 5:
		o := d.object()
		if d.IntN(2) == 0 {
			o["metadata"].(map[string]any)["resourceVersion"] = "${" + d.rv + "}"
		}
		return Request{Method: http.MethodPut, Path: one + d.query(), Body: text(o)}
	case 6:
		body := d.Change
		if d.IntN(2) == 0 {
			body = map[string]any{"metadata": map[string]any{"labels": d.labels(), "finalizers": nil}}
		}
		return Request{Method: http.MethodPatch, Path: one + d.query(), Body: text(body), Type: d.of(mergeType, strategic)}
	case 7:
		op := d.of(`{"op":"add","path":"/metadata/labels","value":{"j":"1"}}`, `{"op":"remove","path":"/metadata/labels/x"}`, `{"op":"replace","path":"/metadata/annotations","value":{"n":"3"}}`, `{"op":"test","path":"/metadata/labels/x","value":"1"}`, `{"op":"copy","from":"/metadata/name","path":"/metadata/labels/name"}`, `{"op":"move","from":"/metadata/labels/x","path":"/metadata/labels/w"}`)
		return Request{Method: http.MethodPatch, Path: one, Body: "[" + op + "]", Type: jsonPatch}
	case 8, 9:
		o := d.object()
		if d.IntN(2) == 0 {
			o = map[string]any{"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": map[string]any{"name": d.name, "labels": d.labels()}}
		}
		return Request{Method: http.MethodPatch, Path: one + "?fieldManager=" + d.of("a", "b", "c") + d.of("", "&force=true", "&dryRun=All"), Body: text(o), Type: applyType}
	case 10:
		if d.Kind.Subresources["status"] != nil {
			return Request{Method: http.MethodPatch, Path: one + "/status" + d.query(), Body: text(map[string]any{"status": d.Status}), Type: mergeType}
		}
		return Request{Method: http.MethodDelete, Path: d.list + "?labelSelector=" + d.of("x%3D1", "y") + d.of("", "&dryRun=All"), Body: `{"gracePeriodSeconds":0}`}
	}
	return Request{Method: http.MethodDelete, Path: one + d.of("", "?dryRun=All", "?propagationPolicy=Orphan", "?propagationPolicy=Foreground", "?gracePeriodSeconds=0")}
}
