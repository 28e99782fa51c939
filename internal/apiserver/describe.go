package apiserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/discovery"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/apiserver/openapi"
)

// describe makes the handlers by which the server tells what it is.
func (s *Server) describe() error {
	var gvs []discovery.GroupVersion
	served := map[string]bool{"version": true, ".well-known/openid-configuration": true, "openid/v1/jwks": true}
	for _, g := range api.Groups() {
		for _, gv := range g.Versions {
			d := discovery.GroupVersion{GroupVersion: gv}
			for _, r := range api.All() {
				if r.GroupVersion == gv {
					d.Resources = append(d.Resources, describeResource(r)...)
				}
			}
			sort.Slice(d.Resources, func(i, j int) bool { return d.Resources[i].Name < d.Resources[j].Name })
			gvs = append(gvs, d)
			if gv.Group == "" {
				served["api"], served["api/"+gv.Version] = true, true
			} else {
				served["apis"], served["apis/"+gv.Group], served["apis/"+gv.String()] = true, true, true
			}
		}
	}
	var err error
	if s.discovery, err = discovery.New(gvs, s.cfg.Address); err != nil {
		return err
	}
	s.health = health.New(s.checks(), s.cfg.Metrics)
	s.health.AddPages(s.cfg.Now(), s.flags())
	s.openapi, err = openapi.New(func(path string) bool { return served[strings.Trim(path, "/")] })
	return err
}

func describeResource(r *api.Resource) []metav1.APIResource {
	out := []metav1.APIResource{{Name: r.Name, SingularName: r.Singular, Namespaced: r.Namespaced, Kind: r.Kind, Verbs: r.Verbs,
		ShortNames: r.ShortNames, Categories: r.Categories, StorageVersionHash: storageHash(r)}}
	for _, sub := range r.Subresources {
		a := metav1.APIResource{Name: r.Name + "/" + sub.Name, Namespaced: r.Namespaced, Kind: r.Kind, Verbs: sub.Verbs}
		if sub.Kind.Kind != "" {
			a.Kind = sub.Kind.Kind
			if sub.Kind.GroupVersion() != r.GroupVersion {
				a.Group, a.Version = sub.Kind.Group, sub.Kind.Version
			}
		}
		out = append(out, a)
	}
	return out
}

// flags are what the server is told, by the names of kube-apiserver's flags where one means the same.
func (s *Server) flags() map[string]string {
	return map[string]string{
		"advertise-address": s.cfg.Address, "service-cluster-ip-range": s.cfg.ServiceCIDR.String(),
		"service-node-port-range": fmt.Sprintf("%d-%d", s.cfg.NodePorts.First, s.cfg.NodePorts.Last),
		"request-timeout":         s.cfg.RequestTimeout.String(), "profiling": "true",
	}
}

// servePaths lists the server's paths, as upstream's root does.
func (s *Server) servePaths(w http.ResponseWriter, r *http.Request) {
	paths := append(s.health.Paths(), "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/",
		"/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks")
	for gv := range s.versions {
		if gv.Group != "" {
			paths = append(paths, "/apis/"+gv.Group, "/apis/"+gv.String())
		}
	}
	slices.Sort(paths)
	body, err := json.MarshalIndent(metav1.RootPaths{Paths: slices.Compact(paths)}, "", "  ")
	if err != nil {
		writeStatus(w, r, err)
		return
	}
	writeBody(w, r, http.StatusOK, "application/json", body)
}

// storageHash is upstream's short hash of the version that is stored, by which clients notice a migration.
func storageHash(r *api.Resource) string {
	if !r.Stored() {
		return ""
	}
	w := r.Written()
	sum := sha256.Sum256([]byte(w.Group + "/" + w.Version + "/" + w.Kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}
