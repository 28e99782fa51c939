package env

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// serviceVars are the Docker-links variables of the services that the pod can see: those of its namespace where
// enableServiceLinks asks for them, and always the API server's.
func serviceVars(pod *corev1.Pod, services []*corev1.Service) []Var {
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	seen := map[string]*corev1.Service{}
	for _, s := range services {
		master := s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes"
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		if master && seen[s.Name] == nil || s.Namespace == pod.Namespace && links {
			seen[s.Name] = s
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	slices.Sort(names)
	var vars []Var
	for _, n := range names {
		vars = append(vars, linkVars(seen[n])...)
	}
	return vars
}

func linkVars(s *corev1.Service) []Var {
	prefix := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
	ip, first := s.Spec.ClusterIP, s.Spec.Ports[0]
	vars := []Var{{prefix + "_SERVICE_HOST", ip}, {prefix + "_SERVICE_PORT", strconv.Itoa(int(first.Port))}}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			vars = append(vars, Var{prefix + "_SERVICE_PORT_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")), strconv.Itoa(int(p.Port))})
		}
	}
	for i, p := range s.Spec.Ports {
		proto := "TCP"
		if p.Protocol != "" {
			proto = string(p.Protocol)
		}
		port := strconv.Itoa(int(p.Port))
		url := strings.ToLower(proto) + "://" + net.JoinHostPort(ip, port)
		if i == 0 {
			vars = append(vars, Var{prefix + "_PORT", url})
		}
		pp := prefix + "_PORT_" + port + "_" + strings.ToUpper(proto)
		vars = append(vars, Var{pp, url}, Var{pp + "_PROTO", strings.ToLower(proto)}, Var{pp + "_PORT", port}, Var{pp + "_ADDR", ip})
	}
	return vars
}
