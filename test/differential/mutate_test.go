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
	var walk func(v any, path string, replace func(any) string)
	ask := func(name, body string) {
		p.Ask("mutant/"+s.Kind.ID()+"/"+name, Request{Method: http.MethodPost, Path: list, Body: body})
	}
	walk = func(v any, path string, replace func(any) string) {
		for _, other := range others(v) {
			ask(path+"="+short(text(other)), replace(other))
		}
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				if path == "" && (k == "metadata" || k == "apiVersion" || k == "kind") {
					continue
				}
				was := v[k]
				delete(v, k)
				ask(path+"."+k+" gone", replace(v))
				v[k] = was
				walk(was, path+"."+k, func(x any) string {
					v[k] = x
					defer func() { v[k] = was }()
					return replace(v)
				})
			}
		case []any:
			for i := range v {
				was := v[i]
				if _, simple := was.(string); !simple || i == 0 {
					walk(was, fmt.Sprintf("%s[%d]", path, i), func(x any) string {
						v[i] = x
						defer func() { v[i] = was }()
						return replace(v)
					})
				}
			}
			if len(v) > 0 {
				ask(path+" twice", replace(append([]any{v[0]}, v...)))
			}
		}
	}
	o := s.Named(s.Name())
	walk(o, "", func(x any) string { return text(x) })
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
