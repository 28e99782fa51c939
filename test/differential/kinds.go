package differential

import (
	"encoding/json"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
)

// A Kind is a served resource as discovery tells of it.
type Kind struct {
	GroupVersion string
	Kind         string
	Resource     string
	Namespaced   bool
	Verbs        []string
	Subresources map[string][]string // name to verbs
}

// Can says whether the resource has a verb.
func (k Kind) Can(verb string) bool { return slices.Contains(k.Verbs, verb) }

// Root is the path of the group version.
func (k Kind) Root() string {
	if strings.Contains(k.GroupVersion, "/") {
		return "/apis/" + k.GroupVersion
	}
	return "/api/" + k.GroupVersion
}

// List is the path of all objects in a namespace, which matters only where the kind has one.
func (k Kind) List(namespace string) string {
	if k.Namespaced && namespace != "" {
		return k.Root() + "/namespaces/" + namespace + "/" + k.Resource
	}
	return k.Root() + "/" + k.Resource
}

// ID names the kind in steps.
func (k Kind) ID() string { return k.GroupVersion + "/" + k.Resource }

const discoveryType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// parseKinds reads aggregated discovery.
func parseKinds(raw []byte) (out []Kind, err error) {
	var l apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, err
	}
	for _, g := range l.Items {
		for _, v := range g.Versions {
			gv := strings.TrimPrefix(g.Name+"/"+v.Version, "/")
			for _, r := range v.Resources {
				k := Kind{GroupVersion: gv, Resource: r.Resource, Namespaced: r.Scope == apidiscoveryv2.ScopeNamespace, Verbs: r.Verbs, Subresources: map[string][]string{}}
				if r.ResponseKind != nil {
					k.Kind = r.ResponseKind.Kind
				}
				for _, s := range r.Subresources {
					k.Subresources[s.Subresource] = s.Verbs
				}
				out = append(out, k)
			}
		}
	}
	return out, nil
}
