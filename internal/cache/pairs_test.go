package cache

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

var (
	_ labels.Labels = Pairs("")
	_ fields.Fields = Pairs("")
)

func TestPairs(t *testing.T) {
	for _, m := range []map[string]string{
		nil, {"": ""}, {"a": ""}, {"": "b"}, {"app": "web", "tier": "front", "app.kubernetes.io/name": "x"},
		{strings.Repeat("n", 254): strings.Repeat("v", 255), "short": "s"}, {"big": strings.Repeat("v", 1<<17), "b": "c"},
	} {
		checkPairs(t, m)
	}
}

func checkPairs(t *testing.T, m map[string]string) {
	t.Helper()
	p := PairsOf(m)
	if got := p.Map(); !maps.Equal(got, m) {
		t.Fatalf("%v became %v", m, got)
	}
	for name, want := range m {
		if got, ok := p.Lookup(name); !ok || got != want || !p.Has(name) || p.Get(name) != want {
			t.Errorf("%q is %q (%v), want %q", name, got, ok, want)
		}
	}
	if _, there := m["absent"]; !there && (p.Has("absent") || p.Get("absent") != "") {
		t.Error("an absent name is there")
	}
	last := ""
	for name := range p.All() {
		if name < last {
			t.Errorf("%q comes after %q", name, last)
		}
		last = name
	}
}

func FuzzPairs(f *testing.F) {
	f.Add("app", "web", "tier", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) { checkPairs(t, map[string]string{a: b, c: d}) })
}
