package allocate

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func first(int) int { return 0 }

func TestPool(t *testing.T) {
	p := NewPool(5, 2, first)
	for _, want := range []int{2, 3, 4, 0, 1} {
		if n, err := p.Next(); n != want || err != nil {
			t.Errorf("next %d %v, want %d", n, err, want)
		}
	}
	if _, err := p.Next(); !errors.Is(err, ErrFull) {
		t.Errorf("full pool: %v", err)
	}
	if err := p.Take(3); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	p.Free(3)
	if err := p.Take(3); err != nil {
		t.Errorf("freed: %v", err)
	}
	if err := p.Take(5); !errors.Is(err, ErrOutside) {
		t.Errorf("outside: %v", err)
	}
	p.Reset([]int{1, 9})
	if p.Taken() != 1 {
		t.Errorf("reset: %d taken", p.Taken())
	}
}

func TestStatic(t *testing.T) {
	for _, c := range [][5]int{{16, 16, 256, 16, 0}, {64, 16, 256, 16, 16}, {1 << 20, 16, 256, 16, 256}, {2768, 16, 128, 32, 86}} {
		if got := Static(c[0], c[1], c[2], c[3]); got != c[4] {
			t.Errorf("Static(%v) = %d, want %d", c[:4], got, c[4])
		}
	}
}

func service(kind corev1.ServiceType, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, Ports: ports}}
}

func TestPorts(t *testing.T) {
	r := &Ports{First: 30000, Last: 30009, Pool: NewPool(10, 0, first)}
	a := service(corev1.ServiceTypeNodePort, corev1.ServicePort{Name: "t", Port: 53, Protocol: "TCP"}, corev1.ServicePort{Name: "u", Port: 53, Protocol: "UDP"}, corev1.ServicePort{Name: "x", Port: 80})
	taken, _, err := r.Take(a, nil)
	if err != nil || len(taken) != 2 || a.Spec.Ports[0].NodePort != a.Spec.Ports[1].NodePort || a.Spec.Ports[2].NodePort != 30001 {
		t.Fatalf("take: %v %v %v", taken, err, a.Spec.Ports)
	}
	b := service(corev1.ServiceTypeNodePort, corev1.ServicePort{Port: 1, NodePort: 30005}, corev1.ServicePort{Port: 2, NodePort: 30001})
	if _, _, err := r.Take(b, nil); err == nil {
		t.Error("a taken port was given twice")
	}
	if err := r.Pool.Take(5); err != nil {
		t.Error("a failed take kept a port")
	}
	c := a.DeepCopy()
	c.Spec.Type = corev1.ServiceTypeClusterIP
	_, gone, err := r.Take(c, a)
	if err != nil || len(gone) != 2 {
		t.Errorf("given back: %v %v", gone, err)
	}
	lb := service(corev1.ServiceTypeLoadBalancer, corev1.ServicePort{Port: 1})
	no := false
	lb.Spec.AllocateLoadBalancerNodePorts, lb.Spec.ExternalTrafficPolicy = &no, corev1.ServiceExternalTrafficPolicyLocal
	taken, _, err = r.Take(lb, nil)
	if err != nil || len(taken) != 1 || lb.Spec.HealthCheckNodePort == 0 || lb.Spec.Ports[0].NodePort != 0 {
		t.Errorf("health check port: %v %v %+v", taken, err, lb.Spec)
	}
}

func TestFamilies(t *testing.T) {
	both, prefer := corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicyPreferDualStack
	for _, c := range []struct {
		name string
		spec corev1.ServiceSpec
		ok   bool
		want int // families
	}{
		{"plain", corev1.ServiceSpec{Selector: map[string]string{"a": "b"}}, true, 1},
		{"external", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}, true, 0},
		{"headless", corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}}, true, 2},
		{"both wanted", corev1.ServiceSpec{IPFamilyPolicy: &both, Selector: map[string]string{"a": "b"}}, false, 0},
		{"both preferred", corev1.ServiceSpec{IPFamilyPolicy: &prefer, Selector: map[string]string{"a": "b"}}, true, 1},
		{"IPv6", corev1.ServiceSpec{ClusterIP: "fd00::1", ClusterIPs: []string{"fd00::1"}}, false, 0},
		{"IPv6 family", corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv6Protocol}}, false, 0},
	} {
		s := &corev1.Service{Spec: c.spec}
		err := Families(s, nil, corev1.IPv4Protocol)
		if (err == nil) != c.ok || c.ok && len(s.Spec.IPFamilies) != c.want {
			t.Errorf("%s: %v %v", c.name, s.Spec.IPFamilies, err)
		}
	}
}

func TestInherit(t *testing.T) {
	old := service(corev1.ServiceTypeNodePort, corev1.ServicePort{Name: "a", Port: 80, NodePort: 30001})
	old.Spec.ClusterIP, old.Spec.ClusterIPs = "10.0.0.1", []string{"10.0.0.1"}
	s := service(corev1.ServiceTypeNodePort, corev1.ServicePort{Name: "a", Port: 81})
	Inherit(s, old)
	Normalize(s, old)
	if s.Spec.ClusterIP != "10.0.0.1" || len(s.Spec.ClusterIPs) != 1 || s.Spec.Ports[0].NodePort != 30001 {
		t.Errorf("%+v", s.Spec)
	}
}
