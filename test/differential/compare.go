package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Difference is one place where the sides' answers to one request differ.
type Difference struct {
	Step   string // the request's name
	Where  string // "code", "header Warning", "body.spec.replicas"
	Ours   string
	Theirs string
	ask    Request
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// unheeded are headers that say nothing about the answer.
var unheeded = map[string]bool{"Date": true, "Content-Length": true, "Audit-Id": true}

// compare lists where two answers differ.
func (p *pairing) compare(ours, theirs Answer) (out []Difference) {
	if ours.Code != theirs.Code {
		out = append(out, Difference{Where: "code", Ours: fmt.Sprint(ours.Code, " ", message(ours)), Theirs: fmt.Sprint(theirs.Code, " ", message(theirs))})
	}
	out = append(out, p.headers(ours.Header, theirs.Header)...)
	if ours.Code != theirs.Code && (ours.Code >= 400 || theirs.Code >= 400) {
		return out
	}
	return append(out, p.values("body", "", ours.Body, theirs.Body)...)
}

func message(a Answer) string {
	if m := lookup(a.Body, "message"); m != nil {
		return fmt.Sprint(m)
	}
	return ""
}

func (p *pairing) headers(ours, theirs http.Header) (out []Difference) {
	for _, k := range allKeys(ours, theirs) {
		if unheeded[k] {
			continue
		}
		out = append(out, p.header(k, ours.Values(k), theirs.Values(k))...)
	}
	return out
}

// header compares the values of one header; each that only one side has is a difference of its own.
func (p *pairing) header(k string, ours, theirs []string) (out []Difference) {
	left := slices.Clone(theirs)
	for _, o := range ours {
		i := slices.IndexFunc(left, func(t string) bool { return p.same("", o, t) })
		if i < 0 {
			out = append(out, Difference{Where: "header " + k, Ours: o, Theirs: "(none)"})
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, t := range left {
		out = append(out, Difference{Where: "header " + k, Ours: "(none)", Theirs: t})
	}
	return out
}

func allKeys[V any](a, b map[string]V) []string {
	names := map[string]bool{}
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	return sortedKeys(names)
}

// values compares two values under key; path leads to them.
func (p *pairing) values(path, key string, ours, theirs any) (out []Difference) {
	switch o := ours.(type) {
	case map[string]any:
		if t, ok := theirs.(map[string]any); ok {
			p.generated(o, t)
			if o["type"] == "BOOKMARK" && t["type"] == "BOOKMARK" { // it carries a revision, and upstream's conversion some zeros
				o, t = map[string]any{"marks": mark(o)}, map[string]any{"marks": mark(t)}
			}
			for _, k := range allKeys(o, t) {
				out = append(out, p.values(path+"."+k, k, present(o, k), present(t, k))...)
			}
			return out
		}
	case []any:
		if t, ok := theirs.([]any); ok {
			return p.lists(path, key, o, t)
		}
	case string:
		if t, ok := theirs.(string); ok && p.same(key, o, t) {
			return nil
		}
	}
	if show(ours) == show(theirs) || ports[key] && isNumber(ours) && isNumber(theirs) {
		return nil
	}
	return []Difference{{Where: path, Ours: show(ours), Theirs: show(theirs)}}
}

// anyOrder are lists whose order says nothing: managed fields are sorted by the second of their last change, and
// conflicts between their managers, and the rules of a user, come in the order of a Go map.
var anyOrder = map[string]bool{"managedFields": true, "causes": true, "nonResourceRules": true, "resourceRules": true}

// ports are numbers without a meaning in common: chosen at random where nobody names one, or a time.
var ports = map[string]bool{"nodePort": true, "healthCheckNodePort": true, "uptimeSeconds": true}

func isNumber(v any) bool { _, ok := v.(json.Number); return ok }

// lists compares item by item; where the lengths differ, items that have names are paired by them.
func (p *pairing) lists(path, key string, ours, theirs []any) (out []Difference) {
	if len(ours) == len(theirs) && !anyOrder[key] {
		for i := range ours {
			out = append(out, p.values(fmt.Sprintf("%s[%d]", path, i), key, ours[i], theirs[i])...)
		}
		return out
	}
	if less, fewer := marked(ours), marked(theirs); len(ours) != len(theirs) && len(less)+len(fewer) < len(ours)+len(theirs) {
		return p.lists(path, key, less, fewer)
	}
	o, t := byName(ours), byName(theirs)
	if (o == nil || t == nil) && len(ours) == len(theirs) {
		ours, theirs = sorted(ours), sorted(theirs)
		for i := range ours {
			out = append(out, p.values(fmt.Sprintf("%s[%d]", path, i), key, ours[i], theirs[i])...)
		}
		return out
	}
	if o == nil || t == nil {
		return []Difference{{Where: path, Ours: show(ours), Theirs: show(theirs)}}
	}
	for _, k := range allKeys(o, t) {
		out = append(out, p.values(path+"["+k+"]", key, present(o, k), present(t, k))...)
	}
	return out
}

func sorted(list []any) []any {
	return slices.SortedFunc(slices.Values(list), func(a, b any) int { return strings.Compare(show(a), show(b)) })
}

// byName sorts the items of a list by what tells them apart; nil where nothing does.
func byName(list []any) map[string]any {
	out := map[string]any{}
	for _, v := range list {
		name := ""
		for _, path := range []string{"metadata.namespace", "metadata.name", "name", "manager", "operation", "apiVersion", "subresource", "object.metadata.name", "type", "field"} {
			if part := lookup(v, path); part != nil {
				name += "/" + fmt.Sprint(part)
			}
		}
		if _, twice := out[name]; twice || name == "" {
			return nil
		}
		out[name] = v
	}
	return out
}

// marked leaves out bookmarks that say nothing but a revision: when they come is a matter of upstream's dice.
func marked(events []any) []any {
	return slices.DeleteFunc(slices.Clone(events), func(e any) bool { return lookup(e, "type") == "BOOKMARK" && mark(e) == nil })
}

// mark is what a bookmark says of initial events.
func mark(bookmark any) any {
	all, _ := lookup(bookmark, "object.metadata.annotations").(map[string]any)
	return all["k8s.io/initial-events-end"]
}

type absent struct{}

// present tells a missing name from a null.
func present(m map[string]any, k string) any {
	v, ok := m[k]
	if !ok {
		return absent{}
	}
	return v
}

func show(v any) string {
	if _, ok := v.(absent); ok {
		return "(none)"
	}
	return text(v)
}
