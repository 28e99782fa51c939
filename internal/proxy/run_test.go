package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// cluster is an API server and a running proxy.
type cluster struct {
	*node
	c     *client.Client
	proxy *Proxy
}

func runProxy(t *testing.T) *cluster {
	t.Helper()
	n := newNode(t)
	n.sh("ip addr add 10.96.0.10/32 dev minato0")
	api := apiservertest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	views := client.NewViews(ctx, api.Client, testLog(t))
	p := New(Config{NodeName: "here", Table: "test-services", ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), Bridge: "minato0", Views: views, Log: testLog(t)})
	scope := run.NewScope(ctx)
	ready := make(chan struct{})
	scope.Go("proxy", func(ctx context.Context) error { return p.Run(ctx, func() { close(ready) }) })
	t.Cleanup(func() {
		cancel()
		ok(t, scope.Wait())
		ok(t, views.Wait())
		ok(t, p.Teardown(context.WithoutCancel(ctx)))
	})
	select {
	case <-ready:
	case <-scope.Context().Done():
		t.Fatal(scope.Wait())
	}
	return &cluster{n, api.Client, p}
}

func create[T client.Object](t *testing.T, c *client.Client, k client.Kind[T], o T) T {
	t.Helper()
	got, err := client.Of(c, k).Create(t.Context(), o)
	ok(t, err)
	return got
}

func (c *cluster) until(what string, f func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: it did not come true\n%s", what, c.sh("nft list table ip test-services"))
		}
	}
}

func (c *cluster) table() string { return c.sh("nft list table ip test-services 2>/dev/null || true") }

func slice(name, addr, where string) *discoveryv1.EndpointSlice {
	port, proto, portName := int32(8080), corev1.ProtocolTCP, ""
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: &proto}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{addr}, NodeName: &where}}}
}

func TestRunFollowsTheAPI(t *testing.T) {
	c := runProxy(t)
	pod := c.pod("10.244.0.5").serve("8080")
	meta := metav1.ObjectMeta{Namespace: "default", Name: "web"}
	create(t, c.c, client.Services, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: "10.96.1.1", Ports: []corev1.ServicePort{{Port: 80}}}})
	c.until("refused without endpoints", func() bool { return dial("10.96.1.1:80", silence) == "refused" })
	create(t, c.c, client.EndpointSlices, slice("web", pod.addr, "here"))
	c.until("answered", func() bool { return dial("10.96.1.1:80", silence) == "10.244.0.5 saw 10.244.0.1" })
	// Somebody empties the table: the next change mends it.
	c.sh("nft delete table ip test-services")
	create(t, c.c, client.Services, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "other"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.1.2", Ports: []corev1.ServicePort{{Port: 80}}}})
	c.until("mended", func() bool {
		return dial("10.96.1.1:80", silence) == "10.244.0.5 saw 10.244.0.1" && dial("10.96.1.2:80", silence) == "refused"
	})
	// The address that the bridge holds belongs to the host.
	create(t, c.c, client.Services, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "dns"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.10", Ports: []corev1.ServicePort{{Port: 7}}}})
	ok(t, client.Of(c.c, client.Services).Delete(t.Context(), "default", "other", metav1.DeleteOptions{}))
	c.until("gone", func() bool { return !strings.Contains(c.table(), "10.96.1.2") })
	if strings.Contains(c.table(), "10.96.0.10") {
		t.Errorf("the host's own address is in\n%s", c.table())
	}
}

func TestHealthCheckNodePort(t *testing.T) {
	c := runProxy(t)
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.1.1",
		ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 30999, Ports: []corev1.ServicePort{{Port: 80}}}}
	create(t, c.c, client.Services, svc)
	status := func() int {
		resp, err := http.Get("http://127.0.0.1:30999/healthz")
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	c.until("no endpoints", func() bool { return status() == 503 })
	create(t, c.c, client.EndpointSlices, slice("web", "10.244.0.5", "here"))
	c.until("one endpoint", func() bool { return status() == 200 })
	ok(t, client.Of(c.c, client.Services).Delete(t.Context(), "default", "web", metav1.DeleteOptions{}))
	c.until("service gone", func() bool { return status() == 0 })
}

func TestABurstIsOneTransaction(t *testing.T) {
	p := New(Config{Log: testLog(t)})
	for i := range 100 {
		p.note(serviceName{"default", string(rune('a' + i%26))})
	}
	if n := len(p.wake); n != 1 {
		t.Errorf("%d wake-ups wait", n)
	}
	if dirty, _ := p.take(); len(dirty) != 26 {
		t.Errorf("%d services are to be done", len(dirty))
	}
}
