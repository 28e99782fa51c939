package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"testing"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func readUpstream(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(upstreamDir(t), "api/discovery", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// served flattens upstream's discovery of a group version into our form: names and data of resources and subresources.
type served struct {
	Kind       schema.GroupVersionKind
	Namespaced bool
	Singular   string
	Short      []string
	Categories []string
	Verbs      []string
}

func ours(gv schema.GroupVersion) map[string]served {
	out := map[string]served{}
	for _, r := range All() {
		if r.GroupVersion != gv {
			continue
		}
		out[r.Name] = served{r.GVK(), r.Namespaced, r.Singular, r.ShortNames, r.Categories, r.Verbs}
		for _, s := range r.Subresources {
			out[r.Name+"/"+s.Name] = served{Kind: s.Kind, Namespaced: r.Namespaced, Verbs: s.Verbs}
		}
	}
	return out
}

// full completes a kind that discovery leaves without group and version, as being those of the parent.
func full(k, parent schema.GroupVersionKind) schema.GroupVersionKind {
	if k.Group == "" && k.Version == "" {
		k.Group, k.Version = parent.Group, parent.Version
	}
	return k
}

func upstreamCore(t *testing.T) map[string]served {
	var list metav1.APIResourceList
	readUpstream(t, "api__v1.json", &list)
	out := map[string]served{}
	for _, r := range list.APIResources {
		k := full(schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}, schema.GroupVersionKind{Version: "v1"})
		out[r.Name] = served{k, r.Namespaced, r.SingularName, r.ShortNames, r.Categories, r.Verbs}
	}
	return out
}

func upstreamGroups(t *testing.T) map[schema.GroupVersion]map[string]served {
	var list apidiscovery.APIGroupDiscoveryList
	readUpstream(t, "aggregated_v2.json", &list)
	out := map[schema.GroupVersion]map[string]served{}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			gv := schema.GroupVersion{Group: g.Name, Version: v.Version}
			out[gv] = map[string]served{}
			for _, r := range v.Resources {
				kind := full(schema.GroupVersionKind(*r.ResponseKind), gv.WithKind(""))
				inNamespace := r.Scope == apidiscovery.ScopeNamespace
				out[gv][r.Resource] = served{kind, inNamespace, r.SingularResource, r.ShortNames, r.Categories, r.Verbs}
				for _, s := range r.Subresources {
					out[gv][r.Resource+"/"+s.Subresource] = served{Kind: full(schema.GroupVersionKind(*s.ResponseKind), kind), Namespaced: inNamespace, Verbs: s.Verbs}
				}
			}
		}
	}
	return out
}

// TestDiscoveryIsUpstreams compares every served version with upstream's published discovery.
func TestDiscoveryIsUpstreams(t *testing.T) {
	groups := upstreamGroups(t)
	groups[schema.GroupVersion{Version: "v1"}] = upstreamCore(t)
	for _, g := range Groups() {
		for _, gv := range g.Versions {
			got, want := ours(gv), groups[gv]
			for name := range want {
				if !reflect.DeepEqual(got[name], want[name]) {
					t.Errorf("%s %s:\n got %+v\nwant %+v", gv, name, got[name], want[name])
				}
			}
			for name := range got {
				if _, ok := want[name]; !ok {
					t.Errorf("%s %s is not upstream's", gv, name)
				}
			}
		}
	}
}

// TestEveryStableVersionIsServed: upstream serves all stable versions by default, and no other.
func TestEveryStableVersionIsServed(t *testing.T) {
	var want, got []string
	for gv := range upstreamGroups(t) {
		if gv.Version == "v1" || gv.Version == "v2" {
			want = append(want, gv.String())
		}
	}
	for _, g := range Groups() {
		for _, gv := range g.Versions {
			if gv.Group != "" {
				got = append(got, gv.String())
			}
		}
	}
	sort.Strings(want)
	sort.Strings(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestGroupsAreInOrderOfPriority(t *testing.T) {
	all := Groups()
	for i := 1; i < len(all); i++ {
		if all[i].Priority > all[i-1].Priority {
			t.Errorf("%s comes before %s", all[i-1].Name, all[i].Name)
		}
	}
	if p := all[6].Preferred(); p.String() != "autoscaling/v2" {
		t.Errorf("preferred %s, want autoscaling/v2", p)
	}
}
