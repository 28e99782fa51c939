package differential

import (
	"fmt"
	"net/http"
	"testing"
)

// changes puts every mutant of a seed over an object that is there, and mutants of its status over its status: what may
// change, what is reset, and what is told of it. All are dry runs, so each meets the same object.
func changes(t *testing.T, p *Pair, seeds []Seed) {
	for i, s := range seeds {
		ns := fmt.Sprintf("change-%d", i)
		p.Set("ns", ns)
		if s.Kind.Namespaced {
			p.namespace(ns)
		}
		p.change(t, s, ns)
	}
}

func (p *Pair) change(t *testing.T, s Seed, ns string) {
	t.Helper()
	st := &story{Pair: p, Seed: s, step: "change/" + s.Kind.ID() + "/", list: s.Kind.List(ns), one: s.Kind.List(ns) + "/" + s.Name()}
	p.Ask(st.step+"create", Request{Method: http.MethodPost, Path: st.list, Body: s.Body(s.Name()), Save: map[string]string{"rv": "metadata.resourceVersion"}})
	st.settle()
	o := s.Named(s.Name())
	o["metadata"].(map[string]any)["resourceVersion"] = "${rv}"
	eachMutant(o, "", notMeta, func(name, body string) {
		st.ask("put"+name, http.MethodPut, st.one+"?dryRun=All&fieldManager=changer&fieldValidation=Strict", body, "")
	})
	for _, sub := range sortedKeys(s.Kind.Subresources) {
		if s.Status == nil || sub != "status" || restless[s.Kind.Resource] {
			continue
		}
		o["status"] = s.Status
		status := func(k string) bool { return k != "status" }
		eachMutant(o, "", status, func(name, body string) {
			st.ask("put status"+name, http.MethodPut, st.one+"/status?dryRun=All&fieldManager=changer", body, "")
		})
		st.ask("status", http.MethodPatch, st.one+"/status", text(map[string]any{"status": s.Status}), mergeType)
		delete(o["metadata"].(map[string]any), "resourceVersion")
		eachMutant(o, "", status, func(name, body string) {
			st.ask("put status over it"+name, http.MethodPut, st.one+"/status?dryRun=All&fieldManager=changer", body, "")
		})
	}
	meta := s.Named(s.Name())
	for _, m := range []struct {
		name string
		path []string
		v    any
	}{
		{"generation", []string{"metadata", "generation"}, 7}, {"created", []string{"metadata", "creationTimestamp"}, "2020-01-02T03:04:05Z"},
		{"deleted", []string{"metadata", "deletionTimestamp"}, "2020-01-02T03:04:05Z"}, {"grace", []string{"metadata", "deletionGracePeriodSeconds"}, 5},
		{"self link", []string{"metadata", "selfLink"}, "/x"}, {"finalizers", []string{"metadata", "finalizers"}, []any{"a.example/b"}}, {"odd finalizer", []string{"metadata", "finalizers"}, []any{"b"}},
		{"generate name", []string{"metadata", "generateName"}, "x-"}, {"namespace", []string{"metadata", "namespace"}, "other"}, {"owner", []string{"metadata", "ownerReferences"}, []any{owner("a")}},
		{"fields", []string{"metadata", "managedFields"}, []any{}}, {"empty fields", []string{"metadata", "managedFields"}, []any{map[string]any{}}}, {"labels", []string{"metadata", "labels"}, map[string]any{"a_": "b"}},
		{"status", []string{"status"}, s.Status},
	} {
		c := clone(meta)
		c["metadata"].(map[string]any)["resourceVersion"] = ""
		put(c, m.path, m.v)
		st.ask("put meta "+m.name, http.MethodPut, st.one+"?dryRun=All&fieldManager=changer", text(c), "")
		if s.Kind.Subresources["status"] != nil && !restless[s.Kind.Resource] {
			st.ask("put status meta "+m.name, http.MethodPut, st.one+"/status?dryRun=All&fieldManager=changer", text(c), "")
		}
	}
	st.ask("delete", http.MethodDelete, st.one+"?gracePeriodSeconds=0", "", "")
	st.ask("let go", http.MethodPatch, st.one, `{"metadata":{"finalizers":null}}`, mergeType)
}
