package api

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	serviceapi "k8s.io/kubernetes/pkg/api/service"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
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
	if hasClusterIP(old) && !hasClusterIP(s) && sameValue(old.Spec.InternalTrafficPolicy, s.Spec.InternalTrafficPolicy) {
		s.Spec.InternalTrafficPolicy = nil
	}
	dropBalancerFields(s, old)
	if serviceapi.ExternallyAccessible(old) && !serviceapi.ExternallyAccessible(s) && old.Spec.ExternalTrafficPolicy == s.Spec.ExternalTrafficPolicy {
		s.Spec.ExternalTrafficPolicy = ""
	}
}

// ServiceAddressErrors are what is wrong with the addresses and families of a Service, before any is allocated; old is nil on
// create.
func ServiceAddressErrors(s, old *corev1.Service) field.ErrorList {
	in, err := Internal(s.DeepCopy())
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var was *core.Service
	if old != nil {
		x, err := Internal(old.DeepCopy())
		if err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
		was = x.(*core.Service)
	}
	return validation.ValidateServiceClusterIPsRelatedFields(in.(*core.Service), was)
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
