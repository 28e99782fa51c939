package bootstrap

import (
	"net"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	kubernetes = "kubernetes" // name of the Service, its endpoints and the ServiceCIDR
	portName   = "https"
	httpsPort  = 443
)

// serviceObjects are the Service by which pods reach the API server, its endpoints, and the range it is in.
func serviceObjects(c Config) []wanted {
	return []wanted{
		serviceCIDR(c),
		{networkingv1.Resource("ipaddresses"), serviceIP(c), keep},
		{corev1.Resource("services"), service(c), keep},
		endpoints(c),
		endpointSlice(c),
	}
}

func family(ip net.IP) corev1.IPFamily {
	if ip.To4() != nil {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

func service(c Config) *corev1.Service {
	single, within := corev1.IPFamilyPolicySingleStack, corev1.ServiceInternalTrafficPolicyCluster
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: kubernetes,
			Labels: map[string]string{"provider": kubernetes, "component": "apiserver"}},
		Spec: corev1.ServiceSpec{
			Type:      corev1.ServiceTypeClusterIP,
			ClusterIP: c.ServiceIP.String(), ClusterIPs: []string{c.ServiceIP.String()},
			IPFamilies: []corev1.IPFamily{family(c.ServiceIP)}, IPFamilyPolicy: &single,
			SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: &within,
			Ports: []corev1.ServicePort{{Name: portName, Protocol: corev1.ProtocolTCP, Port: httpsPort, TargetPort: intstr.FromInt(c.AdvertisePort)}},
		},
	}
}

// serviceIP records that the Service holds its address.
func serviceIP(c Config) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: c.ServiceIP.String(), Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(family(c.ServiceIP)), networkingv1.LabelManagedBy: "ipallocator.k8s.io"}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: metav1.NamespaceDefault, Name: kubernetes}},
	}
}

func endpoints(c Config) wanted {
	want := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: kubernetes, Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}},
		Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: c.AdvertiseIP.String()}},
			Ports: []corev1.EndpointPort{{Name: portName, Port: int32(c.AdvertisePort), Protocol: corev1.ProtocolTCP}}}},
	}
	return wanted{corev1.Resource("endpoints"), want, func(have runtime.Object) (Object, string) {
		h := have.(*corev1.Endpoints).DeepCopy()
		if meta := mergeMeta(h, want); !meta && equality.Semantic.DeepEqual(h.Subsets, want.Subsets) {
			return nil, ""
		}
		h.Subsets = want.Subsets
		return h, ""
	}}
}

func endpointSlice(c Config) wanted {
	ready, name, port, protocol := true, portName, int32(c.AdvertisePort), corev1.ProtocolTCP
	want := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: kubernetes, Generation: 1, Labels: map[string]string{discoveryv1.LabelServiceName: kubernetes}},
		AddressType: discoveryv1.AddressType(family(c.AdvertiseIP)),
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{c.AdvertiseIP.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	return wanted{discoveryv1.Resource("endpointslices"), want, func(have runtime.Object) (Object, string) {
		h := have.(*discoveryv1.EndpointSlice).DeepCopy()
		if h.AddressType != want.AddressType {
			return nil, "EndpointSlice default/kubernetes is for " + string(h.AddressType) + " addresses and the server's is another: delete it to have a new one"
		}
		meta := mergeMeta(h, want)
		if same := equality.Semantic.DeepEqual(h.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(h.Ports, want.Ports); !meta && same {
			return nil, ""
		}
		h.Endpoints, h.Ports, h.Generation = want.Endpoints, want.Ports, h.Generation+1
		return h, ""
	}}
}

func serviceCIDR(c Config) wanted {
	want := &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: kubernetes},
		Spec:       networkingv1.ServiceCIDRSpec{CIDRs: c.ServiceCIDRs},
		Status: networkingv1.ServiceCIDRStatus{Conditions: []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue,
			Message: "Kubernetes default Service CIDR is ready", LastTransitionTime: metav1.NewTime(c.Now)}}},
	}
	return wanted{networkingv1.Resource("servicecidrs"), want, func(have runtime.Object) (Object, string) {
		if h := have.(*networkingv1.ServiceCIDR); !equality.Semantic.DeepEqual(h.Spec.CIDRs, c.ServiceCIDRs) {
			return nil, "ServiceCIDR kubernetes has other ranges than this server is set to: " + h.Spec.String()
		}
		return nil, ""
	}}
}
