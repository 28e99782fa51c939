package apiserver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/ownership"
)

// TestKindsAgainstLibrary has several managers update random objects of every kind, one after another, and wants the
// managed fields that the library gives, bytes and order and all.
func TestKindsAgainstLibrary(t *testing.T) {
	draw := filler{rand.New(rand.NewPCG(5, 6))}
	asked, quick := draw.updates(t, api.Stored())
	t.Logf("%d of %d updates", quick, asked)
	if asked < 500 || quick < asked*2/3 {
		t.Errorf("%d of %d updates took the short way: too few to prove anything", quick, asked)
	}
}

// FuzzKindsAgainstLibrary is the same of one kind, from any seed.
func FuzzKindsAgainstLibrary(f *testing.F) {
	all := api.Stored()
	f.Add(uint64(1), 0)
	f.Fuzz(func(t *testing.T, seed uint64, kind int) {
		filler{rand.New(rand.NewPCG(seed, 6))}.updates(t, all[uint(kind)%uint(len(all)):][:1])
	})
}

// updates holds the short way of updates of some kinds against the library. It says how many there were, and took that way.
func (draw filler) updates(t *testing.T, kinds []*api.Resource) (asked, quick int) {
	for _, kind := range kinds {
		r := &resource{Resource: kind}
		o := newOwners()
		for range 2 {
			obj := kindless(t, kind)
			for step := range 8 {
				sub := []*api.Subresource{nil, kind.Sub("status")}[draw.IntN(2)]
				next := draw.object(t, kind)
				if step > 1 && draw.IntN(4) > 0 {
					next = copyOf(obj)
					draw.change(reflect.ValueOf(next).Elem())
				}
				next.GetObjectKind().SetGroupVersionKind(kind.Storage)
				next.SetManagedFields(nil)
				if draw.IntN(3) == 0 {
					next.SetManagedFields(copyOf(obj).GetManagedFields())
				}
				manager := []string{"", "one", "two", "three"}[draw.IntN(4)]
				m, err := o.of(r, sub, true) // the one for applied configurations is wholly the library's
				if err != nil {
					t.Fatal(err)
				}
				wanted, err := updated(m, copyOf(obj), copyOf(next), manager)
				if err != nil {
					continue // it gives up on keys that are double or not there; a quick answer is as good
				}
				want := wanted.(api.Object)
				k := quickly(t, o, r, sub)
				asked++
				if got := copyOf(next); k != nil && k.Update(copyOf(obj), got, manager, time.Now()) {
					quick++
					if a, b := aged(got), aged(want); !reflect.DeepEqual(a, b) {
						t.Fatalf("%s, manager %q, sub %v:\nold  %s\ngot  %s\nwant %s", kind.Storage, manager, sub != nil,
							shownFields(obj.GetManagedFields()), shownFields(a), shownFields(b))
					}
				} else if k != nil && !reflect.DeepEqual(got, next) {
					t.Fatalf("%s: a refused update changed the object", kind.Storage)
				}
				obj = want
				obj.SetUID("there")
				older(obj, draw.IntN(3))
			}
		}
	}
	return asked, quick
}

func quickly(t *testing.T, o *owners, r *resource, sub *api.Subresource) *ownership.Kind {
	t.Helper()
	k, err := o.kind(r, sub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func kindless(t *testing.T, kind *api.Resource) api.Object {
	t.Helper()
	o, err := kind.New()
	if err != nil {
		t.Fatal(err)
	}
	o.GetObjectKind().SetGroupVersionKind(kind.Storage)
	return o.(api.Object)
}

var long = time.Unix(1000000, 0).UTC()

// older moves the time of every entry that was written now into the past, by up to a few seconds.
func older(o api.Object, seconds int) {
	entries := o.GetManagedFields()
	for i, e := range entries {
		if e.Time != nil && time.Since(e.Time.Time) < time.Hour {
			entries[i].Time = &metav1.Time{Time: long.Add(time.Duration(seconds) * time.Second)}
		}
	}
}

// aged returns the managed fields with one time for all that were written now, for two clocks never show the same.
func aged(o api.Object) []metav1.ManagedFieldsEntry {
	out := copyOf(o).GetManagedFields()
	for i, e := range out {
		if e.Time != nil && time.Since(e.Time.Time) < time.Hour {
			out[i].Time = &metav1.Time{Time: long.Add(time.Hour)}
		}
	}
	return out
}

// TestAppliedAgainstLibrary has managers apply random configurations, mostly changed ones of before, and wants the object that
// the library makes, as it is stored.
func TestAppliedAgainstLibrary(t *testing.T) {
	draw := filler{rand.New(rand.NewPCG(7, 8))}
	asked, quick := draw.applications(t, api.Stored())
	t.Logf("%d of %d configurations", quick, asked)
	if asked < 150 || quick < asked/2 {
		t.Errorf("%d of %d configurations took the short way: too few to prove anything", quick, asked)
	}
}

// FuzzAppliedAgainstLibrary is the same of one kind, from any seed.
func FuzzAppliedAgainstLibrary(f *testing.F) {
	all := api.Stored()
	f.Add(uint64(1), 0)
	f.Fuzz(func(t *testing.T, seed uint64, kind int) {
		filler{rand.New(rand.NewPCG(seed, 8))}.applications(t, all[uint(kind)%uint(len(all)):][:1])
	})
}

// applications holds the short way of apply against the library for some kinds. It says how many there were, and took that way.
func (draw filler) applications(t *testing.T, kinds []*api.Resource) (asked, quick int) {
	for _, kind := range kinds {
		r := &resource{Resource: kind}
		o := newOwners()
		live := draw.live(t, o, r)
		if draw.IntN(3) == 0 {
			live = kindless(t, kind)
		}
		confs := map[string]map[string]any{}
		for range 6 {
			sub := []*api.Subresource{nil, nil, nil, kind.Sub("status")}[draw.IntN(4)]
			manager := []string{"one", "two"}[draw.IntN(2)]
			conf := draw.configuration(t, r, live, confs[manager])
			m, err := o.of(r, sub, true)
			if err != nil {
				t.Fatal(err)
			}
			force := draw.IntN(3) == 0
			out, err := applied(m, copyOf(live), conf, manager, force)
			k, next, ok := quickly(t, o, r, sub), copyOf(live), false
			if k != nil {
				if ok = k.Apply(next, runtime.DeepCopyJSON(conf), manager, time.Now()); ok {
					api.Default(next)
				} else if !reflect.DeepEqual(next, live) {
					t.Fatalf("%s: a refused configuration changed the object", kind.Storage)
				}
			}
			if err != nil {
				if ok {
					t.Fatalf("%s: the library refuses what was applied: %v", kind.Storage, err)
				}
				continue
			}
			confs[manager] = conf
			want := out.(api.Object)
			asked++
			if ok {
				quick++
				if a, b := shownJSON(t, stored(t, next)), shownJSON(t, stored(t, want)); a != b {
					t.Fatalf("%s, manager %q, sub %v, conf %v:\nlive %s\ngot  %s\nwant %s", kind.Storage, manager, sub != nil, conf, shownJSON(t, live), a, b)
				}
			}
			live = stored(t, want)
			live.SetUID("there")
			older(live, draw.IntN(3))
		}
	}
	return asked, quick
}

// live is a random object as the store would have it.
func (f filler) live(t *testing.T, o *owners, r *resource) api.Object {
	t.Helper()
	m, err := o.of(r, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for {
		obj := f.object(t, r.Resource)
		obj.GetObjectKind().SetGroupVersionKind(r.Storage)
		obj.SetManagedFields(nil)
		obj.SetUID("")
		out, err := updated(m, kindless(t, r.Resource), obj, "creator")
		if err == nil && len(out.(api.Object).GetManagedFields()) > 0 {
			live := stored(t, out.(api.Object))
			live.SetUID("there")
			older(live, 0)
			return live
		}
	}
}

// configuration is what a manager applies: what it has applied before with another value somewhere, or something new.
func (f filler) configuration(t *testing.T, r *resource, live api.Object, before map[string]any) map[string]any {
	t.Helper()
	var obj api.Object
	if before != nil && f.IntN(5) > 0 {
		obj = kindless(t, r.Resource)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, obj); err != nil {
			t.Fatal(err)
		}
		if f.IntN(4) > 0 {
			f.change(reflect.ValueOf(obj).Elem())
		}
	} else {
		obj = f.object(t, r.Resource)
	}
	conf, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return map[string]any{}
	}
	meta := map[string]any{"name": live.GetName()}
	if labels := obj.GetLabels(); len(labels) > 0 {
		meta["labels"] = conf["metadata"].(map[string]any)["labels"]
	}
	conf["metadata"], conf["kind"], conf["apiVersion"] = meta, r.Kind, r.GroupVersion.String()
	if before == nil {
		for k := range conf {
			if k != "metadata" && k != "kind" && k != "apiVersion" && f.IntN(3) == 0 {
				delete(conf, k)
			}
		}
		return conf
	}
	for k := range conf {
		if _, ok := before[k]; !ok {
			delete(conf, k)
		}
	}
	return conf
}

func applied(m *managedfields.FieldManager, live api.Object, conf map[string]any, manager string, force bool) (_ runtime.Object, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return m.Apply(live, &unstructured.Unstructured{Object: runtime.DeepCopyJSON(conf)}, manager, force)
}

// stored is an object as it comes back from the store, with one time for all that was written now.
func stored(t *testing.T, o api.Object) api.Object {
	t.Helper()
	o = copyOf(o)
	o.SetManagedFields(aged(o))
	b, err := api.EncodeStorage(o)
	if err != nil {
		t.Fatal(err)
	}
	back, err := api.DecodeStorage(b)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func shownJSON(t *testing.T, o api.Object) string {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`,"fieldsV1":null`, "", `"fieldsV1":null,`, "").Replace(string(b)) // in a template, where a merge leaves it away
}
