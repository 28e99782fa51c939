package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Served is one resource that the server offers, in the server's preferred version.
type Served struct {
	GVR        schema.GroupVersionResource
	Kind       string
	Namespaced bool
	Verbs      []string
}

// Can reports whether the resource has all the verbs.
func (s Served) Can(verbs ...string) bool {
	for _, v := range verbs {
		if !slices.Contains(s.Verbs, v) {
			return false
		}
	}
	return true
}

// Discover lists every resource in its preferred version. A group whose server does not answer (stale) is returned in
// failed, so that a caller who must see everything can wait for it.
func Discover(ctx context.Context, c *Client) (all []Served, failed []schema.GroupVersion, err error) {
	for _, root := range []string{"/api", "/apis"} {
		list, err := discover(ctx, c, root)
		if err != nil {
			return nil, nil, err
		}
		for _, g := range list.Items {
			seen := map[string]bool{}
			for _, v := range g.Versions {
				if v.Freshness == apidiscovery.DiscoveryFreshnessStale {
					failed = append(failed, schema.GroupVersion{Group: g.Name, Version: v.Version})
				}
				for _, r := range v.Resources {
					if r.ResponseKind == nil || seen[r.Resource] {
						continue
					}
					seen[r.Resource] = true
					all = append(all, Served{GVR: schema.GroupVersionResource{Group: g.Name, Version: v.Version, Resource: r.Resource},
						Kind: r.ResponseKind.Kind, Namespaced: r.Scope == apidiscovery.ScopeNamespace, Verbs: r.Verbs})
				}
			}
		}
	}
	return all, failed, nil
}

func discover(ctx context.Context, c *Client, root string) (*apidiscovery.APIGroupDiscoveryList, error) {
	resp, err := c.Do(ctx, Request{Method: http.MethodGet, Path: root,
		Accept: jsonType + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list apidiscovery.APIGroupDiscoveryList
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("GET %s: %w", root, err)
	}
	return &list, nil
}
