package api

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	serviceapi "k8s.io/kubernetes/pkg/api/service"
	"k8s.io/kubernetes/pkg/apis/core"
)

// dropTypeFields clears, when the type changes, what only the old type has; what the user changed along with the type
// stays, and fails validation.
func dropTypeFields(s, old *core.Service) {
	if hasClusterIP(old) && !hasClusterIP(s) {
		if old.Spec.ClusterIP == s.Spec.ClusterIP && slices.Equal(old.Spec.ClusterIPs, s.Spec.ClusterIPs) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
		}
		if sameValue(old.Spec.IPFamilies, s.Spec.IPFamilies) {
			s.Spec.IPFamilies = nil
		}
		if deref(old.Spec.IPFamilyPolicy) == deref(s.Spec.IPFamilyPolicy) {
			s.Spec.IPFamilyPolicy = nil
		}
	}
	if hasNodePort(old) && !hasNodePort(s) && nodePortsWithin(s, old) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].NodePort = 0
		}
	}
	if hasHealthPort(old) && !hasHealthPort(s) && old.Spec.HealthCheckNodePort == s.Spec.HealthCheckNodePort {
		s.Spec.HealthCheckNodePort = 0
	}
	dropBalancerFields(s, old)
	if serviceapi.ExternallyAccessible(old) && !serviceapi.ExternallyAccessible(s) && old.Spec.ExternalTrafficPolicy == s.Spec.ExternalTrafficPolicy {
		s.Spec.ExternalTrafficPolicy = ""
	}
}

func dropBalancerFields(s, old *core.Service) {
	if s.Spec.Type == core.ServiceTypeLoadBalancer {
		return
	}
	s.Status.LoadBalancer = core.LoadBalancerStatus{}
	if old.Spec.Type != core.ServiceTypeLoadBalancer {
		return
	}
	if a, b := old.Spec.AllocateLoadBalancerNodePorts, s.Spec.AllocateLoadBalancerNodePorts; a != nil && b != nil && *a == *b {
		s.Spec.AllocateLoadBalancerNodePorts = nil
	}
	if sameValue(old.Spec.LoadBalancerClass, s.Spec.LoadBalancerClass) {
		s.Spec.LoadBalancerClass = nil
	}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func hasClusterIP(s *core.Service) bool { return s.Spec.Type != core.ServiceTypeExternalName }

func hasNodePort(s *core.Service) bool {
	return s.Spec.Type == core.ServiceTypeNodePort || s.Spec.Type == core.ServiceTypeLoadBalancer
}

func hasHealthPort(s *core.Service) bool {
	return s.Spec.Type == core.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == core.ServiceExternalTrafficPolicyLocal
}

// nodePortsWithin says that s asks for no node port that old has not.
func nodePortsWithin(s, old *core.Service) bool {
	had := map[int32]bool{0: true}
	for _, p := range old.Spec.Ports {
		had[p.NodePort] = true
	}
	for _, p := range s.Spec.Ports {
		if !had[p.NodePort] {
			return false
		}
	}
	return true
}

// CarryAllocated prepares s for the allocators: on update (old not nil) it fills cluster IPs, node ports and the health
// check port that the client left out from the old object, and in any case it brings clusterIP and clusterIPs into
// agreement where only one of them was given. Call it before allocating, and before BeforeCreate or BeforeUpdate.
func CarryAllocated(s, old *corev1.Service) {
	if old == nil {
		agree(s)
		return
	}
	agree(old)
	typeOf := func(s *corev1.Service) *core.Service {
		return &core.Service{Spec: core.ServiceSpec{Type: core.ServiceType(s.Spec.Type), ExternalTrafficPolicy: core.ServiceExternalTrafficPolicy(s.Spec.ExternalTrafficPolicy)}}
	}
	is, was := typeOf(s), typeOf(old)
	if hasClusterIP(is) && hasClusterIP(was) {
		if s.Spec.ClusterIP == "" {
			s.Spec.ClusterIP = old.Spec.ClusterIP
		}
		if len(s.Spec.ClusterIPs) == 0 && len(old.Spec.ClusterIPs) > 0 {
			s.Spec.ClusterIPs = slices.Clone(old.Spec.ClusterIPs)
		}
	}
	if hasNodePort(is) && hasNodePort(was) {
		carryNodePorts(s, old)
	}
	if hasHealthPort(is) && hasHealthPort(was) && s.Spec.HealthCheckNodePort == 0 {
		s.Spec.HealthCheckNodePort = old.Spec.HealthCheckNodePort
	}
	follow(s, old)
}

// agree is for an object that a client of before dual stack wrote.
func agree(s *corev1.Service) {
	if s.Spec.ClusterIP != "" && len(s.Spec.ClusterIPs) == 0 {
		s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	}
}

// follow lets a change of clusterIP alone change clusterIPs too.
func follow(s, old *corev1.Service) {
	if len(old.Spec.ClusterIPs) > 0 && len(s.Spec.ClusterIPs) == 0 && old.Spec.ClusterIP == s.Spec.ClusterIP {
		s.Spec.ClusterIPs = slices.Clone(old.Spec.ClusterIPs)
	}
	if old.Spec.ClusterIP == s.Spec.ClusterIP || !slices.Equal(old.Spec.ClusterIPs, s.Spec.ClusterIPs) {
		return
	}
	if old.Spec.ClusterIP != "" && s.Spec.ClusterIP == "" {
		s.Spec.ClusterIPs = nil
		return
	}
	s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
}

// carryNodePorts matches ports by name, and skips a node port that another port of s now asks for.
func carryNodePorts(s, old *corev1.Service) {
	asked, had := map[int32]bool{}, map[string]int32{}
	for _, p := range s.Spec.Ports {
		asked[p.NodePort] = true
	}
	for _, p := range old.Spec.Ports {
		had[p.Name] = p.NodePort
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if n := had[p.Name]; p.NodePort == 0 && !asked[n] {
			p.NodePort = n
		}
	}
}
