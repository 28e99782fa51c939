package discovery

import (
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// aggregate is everything in one document: the core group, or all others.
func aggregate(gvs []GroupVersion, core bool) *apidiscoveryv2.APIGroupDiscoveryList {
	l := &apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/v2"},
		Items: []apidiscoveryv2.APIGroupDiscovery{}}
	at := map[string]int{}
	for _, gv := range gvs {
		if (gv.Group == "") != core {
			continue
		}
		if _, ok := at[gv.Group]; !ok {
			at[gv.Group] = len(l.Items)
			l.Items = append(l.Items, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: gv.Group}})
		}
		g := &l.Items[at[gv.Group]]
		g.Versions = append(g.Versions, apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Resources: nest(gv.Resources),
			Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent})
	}
	return l
}

// nest puts subresources under their resources. One whose resource is not served itself gets a resource that can do nothing.
func nest(flat []metav1.APIResource) (out []apidiscoveryv2.APIResourceDiscovery) {
	for _, r := range flat {
		if !strings.Contains(r.Name, "/") {
			out = append(out, apidiscoveryv2.APIResourceDiscovery{Resource: r.Name, Scope: scope(r), SingularResource: r.SingularName, Verbs: r.Verbs,
				ShortNames: r.ShortNames, Categories: r.Categories, ResponseKind: kind(r)})
		}
	}
	for _, r := range flat {
		parent, sub, ok := strings.Cut(r.Name, "/")
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(p apidiscoveryv2.APIResourceDiscovery) bool { return p.Resource == parent })
		if i < 0 {
			i = len(out)
			out = append(out, apidiscoveryv2.APIResourceDiscovery{Resource: parent, Scope: scope(r), ResponseKind: &metav1.GroupVersionKind{}})
		}
		out[i].Subresources = append(out[i].Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: sub, ResponseKind: kind(r), Verbs: r.Verbs})
	}
	return out
}

func scope(r metav1.APIResource) apidiscoveryv2.ResourceScope {
	if r.Namespaced {
		return apidiscoveryv2.ScopeNamespace
	}
	return apidiscoveryv2.ScopeCluster
}

func kind(r metav1.APIResource) *metav1.GroupVersionKind {
	if r.Kind == "" {
		return nil
	}
	return &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
}
