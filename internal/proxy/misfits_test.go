package proxy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestMisfits(t *testing.T) {
	s := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.5", ClusterIPs: []string{"10.96.0.5", "fd00::5"}, ExternalIPs: []string{"192.0.2.1", "2001:db8::1"},
		LoadBalancerSourceRanges: []string{" 2001:db8::/32 ", "192.0.2.0/24"}}}
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "2001:db8::2"}, {Hostname: "lb"}}
	eps := []*discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv6, Endpoints: []discoveryv1.Endpoint{{}}}, {AddressType: discoveryv1.AddressTypeIPv4}}
	eps[0].Name = "six"
	want := "2001:db8::/32 in loadBalancerSourceRanges has incorrect IP version\n2001:db8::1 in externalIPs has incorrect IP version\n" +
		"2001:db8::2 in load balancer ingress has incorrect IP version\nEndpointSlice six has IPv6 addresses, which this node does not reach\nfd00::5 in clusterIPs has incorrect IP version"
	if got := strings.Join(misfits(s, eps), "\n"); got != want {
		t.Errorf("misfits are\n%s", got)
	}
	var out bytes.Buffer
	p := New(Config{Log: slog.New(slog.NewTextHandler(&out, nil))})
	for range 3 {
		p.tell(serviceName{"a", "s"}, s, eps)
	}
	p.tell(serviceName{"a", "s"}, nil, nil)
	if n := strings.Count(out.String(), "level=WARN"); n != 1 || len(p.told) != 0 {
		t.Errorf("%d warnings, remembered %v", n, p.told)
	}
	s.Spec.ClusterIP = corev1.ClusterIPNone
	if got := misfits(s, eps); got != nil {
		t.Errorf("a headless service has %v", got)
	}
}
