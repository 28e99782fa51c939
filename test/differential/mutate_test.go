package differential

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// mutants are objects made from a seed, each with one value below its spec (or what the kind has instead) taken out or
// replaced by one that is likely to be refused. Most ask for nothing but validation: they are dry runs.
func mutants(p *Pair, s Seed, ns string) {
	p.t.Helper()
	list := s.Kind.List(ns) + "?dryRun=All&fieldValidation=Strict"
	eachMutant(s.Named(s.Name()), "", notMeta, func(name, body string) {
		p.Ask("mutant/"+s.Kind.ID()+"/"+name, Request{Method: http.MethodPost, Path: list, Body: body})
	})
}

func notMeta(k string) bool { return k == "metadata" || k == "apiVersion" || k == "kind" }

// eachMutant tells ask of o with one value after the other taken out or replaced, but for the names of o to skip. It
// leaves o as it was.
func eachMutant(o map[string]any, path string, skip func(name string) bool, ask func(name, body string)) {
	m := mutation{skip, ask}
	m.walk(o, path, func(x any) string { return text(x) })
}

type mutation struct {
	skip func(name string) bool
	ask  func(name, body string)
}

// walk replaces v and all below it; replace is the whole object with another value in v's place.
func (m mutation) walk(v any, path string, replace func(any) string) {
	if path != "" {
		for _, other := range others(v) {
			m.ask(path+"="+short(text(other)), replace(other))
		}
	}
	switch v := v.(type) {
	case map[string]any:
		m.walkMap(v, path, replace)
	case []any:
		m.walkList(v, path, replace)
	}
}

func (m mutation) walkMap(v map[string]any, path string, replace func(any) string) {
	for _, k := range sortedKeys(v) {
		if path == "" && m.skip(k) {
			continue
		}
		was := v[k]
		delete(v, k)
		m.ask(path+"."+k+" gone", replace(v))
		v[k] = was
		m.walk(was, path+"."+k, func(x any) string {
			v[k] = x
			defer func() { v[k] = was }()
			return replace(v)
		})
	}
}

func (m mutation) walkList(v []any, path string, replace func(any) string) {
	for i := range v {
		was := v[i]
		if _, simple := was.(string); !simple || i == 0 {
			m.walk(was, fmt.Sprintf("%s[%d]", path, i), func(x any) string {
				v[i] = x
				defer func() { v[i] = was }()
				return replace(v)
			})
		}
	}
	if len(v) > 0 {
		m.ask(path+" twice", replace(append([]any{v[0]}, v...)))
	}
}

// others are values that stand in for v.
func others(v any) []any {
	switch v := v.(type) {
	case string:
		return []any{"", "Not_Valid!", v + "x", strings.Repeat("l", 300), json.Number("7")}
	case json.Number:
		return []any{json.Number("-1"), json.Number("0"), json.Number("99999999999"), "text", json.Number("1.5")}
	case bool:
		return []any{!v, "text"}
	case []any:
		return []any{[]any{}, nil, "text", []any{nil}}
	case map[string]any:
		return []any{map[string]any{}, nil, "text"}
	}
	return nil
}

func short(s string) string { return s[:min(len(s), 20)] }

// allMutants does it for all kinds.
func allMutants(p *Pair, seeds []Seed) {
	for i, s := range seeds {
		ns := fmt.Sprintf("bad-%d", i)
		p.Set("ns", ns)
		mutants(p, s, ns)
	}
}
