package differential

import (
	"net/http"
	"strings"
)

// paths asks for what lies outside of the resource tree: discovery, schemas, health, versions.
func paths(p *Pair, kinds []Kind) {
	get := func(path, accept string) {
		p.Ask("paths/"+path+" "+accept, Request{Method: http.MethodGet, Path: path, Accept: accept})
	}
	groups, versions := map[string]bool{}, map[string]bool{}
	for _, k := range kinds {
		versions[k.Root()] = true
		if g, _, ok := strings.Cut(k.GroupVersion, "/"); ok {
			groups["/apis/"+g] = true
		}
	}
	all := append([]string{"/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/healthz/ping", "/livez/ping", "/readyz/nosuch", "/openapi/v3", "/openid/v1/jwks",
		"/.well-known/openid-configuration", "/nosuch", "/api/v2", "/api/v1/", "/apis/", "/apis/apps/v9", "/apis/nosuch", "/api/v1/nosuch", "/api/v1/namespaces/x/nosuch", "/apis/apps", "/swagger.json", "/openapi", "/logs", "/debug/nosuch", "/metrics/nosuch", "/version/"},
		append(sortedKeys(groups), sortedKeys(versions)...)...)
	for _, path := range all {
		for _, accept := range []string{"", yamlType, protoType, "text/plain", "*/*"} {
			get(path, accept)
		}
		for _, m := range []string{http.MethodPost, http.MethodHead, http.MethodOptions} {
			p.Ask("paths/"+m+" "+path, Request{Method: m, Path: path})
		}
	}
	for _, accept := range []string{discoveryType, discoveryType + ",application/json", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList",
		"application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"} {
		get("/api", accept)
		get("/apis", accept)
	}
	for _, page := range []string{"Statusz", "Flagz"} {
		for _, accept := range []string{"", "*/*", "text/plain", "application/json", yamlType, "application/json;v=v1beta1;g=config.k8s.io;as=" + page,
			"application/yaml;v=v1beta1;g=config.k8s.io;as=" + page, "application/json;v=v1alpha1;g=config.k8s.io;as=" + page, "application/json;v=v9;g=config.k8s.io;as=" + page} {
			get("/"+strings.ToLower(page), accept)
		}
	}
	get("/", "")
	for _, path := range []string{"/livez?exclude=etcd", "/readyz?exclude=nosuch", "/livez?verbose"} {
		get(path, "")
	}
}
