package apiserver_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

const svcs = "/api/v1/namespaces/default/services"

func service(name, spec string) string {
	return `{"apiVersion":"v1","kind":"Service","metadata":{"name":"` + name + `"},"spec":{"ports":[{"port":80}]` + spec + `}}`
}

// shared is a server that is not alone on its store.
func shared(c *apiserver.Config) { c.SoleWriter = false }

// TestTwoServersShareAddresses: two servers on one store never give the same node port or ClusterIP twice, and each takes
// what the other has given back.
func TestTwoServersShareAddresses(t *testing.T) {
	a := apiservertest.Start(t, shared)
	b := apiservertest.Start(t, shared, func(c *apiserver.Config) { c.Store, c.Prepare = a.Store, nil })
	var wg sync.WaitGroup
	const each = 20
	for n, s := range []*apiservertest.Server{a, b} {
		wg.Go(func() {
			for i := range each {
				if x := do(t, s, "POST", svcs, service(fmt.Sprintf("s%d-%d", n, i), `,"type":"NodePort"`)); x.code != 201 {
					t.Errorf("%d: %s", x.code, x.body)
				}
			}
		})
	}
	wg.Wait()
	ips, ports := map[any]bool{}, map[any]bool{}
	for _, x := range must(t, do(t, a, "GET", svcs, ""), 200)["items"].([]any) {
		svc := x.(map[string]any)
		ips[at(svc, "spec.clusterIP")] = true
		ports[svc["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)["nodePort"]] = true
	}
	if len(ips) != 2*each || len(ports) != 2*each {
		t.Errorf("%d addresses and %d ports for %d services", len(ips), len(ports), 2*each)
	}
	wants(t, a, 201, "POST", svcs, strings.Replace(service("one", `,"type":"NodePort"`), `"port":80`, `"port":80,"nodePort":30010`, 1))
	wants(t, b, 422, "POST", svcs, strings.Replace(service("two", `,"type":"NodePort"`), `"port":80`, `"port":80,"nodePort":30010`, 1))
	wants(t, a, 200, "DELETE", svcs+"/one", "")
	wants(t, b, 201, "POST", svcs, strings.Replace(service("two", `,"type":"NodePort"`), `"port":80`, `"port":80,"nodePort":30010`, 1))
}

// TestServiceCIDRs: a second range gives addresses while it is ready.
func TestServiceCIDRs(t *testing.T) {
	s := apiservertest.Start(t)
	const cidrs = "/apis/networking.k8s.io/v1/servicecidrs"
	cidr := func(name, prefix string) string {
		return `{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"` + name + `"},"spec":{"cidrs":["` + prefix + `"]}}`
	}
	wants(t, s, 201, "POST", cidrs, cidr("first", "10.50.0.0/29"))
	wants(t, s, 422, "POST", svcs, service("far", `,"clusterIP":"10.60.0.3"`))
	for i := range 6 {
		wants(t, s, 201, "POST", svcs, service(fmt.Sprintf("s%d", i), ""))
	}
	if a := wants(t, s, 500, "POST", svcs, service("full", "")); !strings.Contains(a.body, "range is full") {
		t.Error(a.body)
	}
	wants(t, s, 201, "POST", cidrs, cidr("second", "10.60.0.0/29"))
	if ip := at(must(t, do(t, s, "POST", svcs, service("more", "")), 201), "spec.clusterIP"); !strings.HasPrefix(ip.(string), "10.60.0.") {
		t.Errorf("address %v", ip)
	}
	wants(t, s, 200, "PATCH", cidrs+"/second/status", `{"status":{"conditions":[{"type":"Ready","status":"False","reason":"x","message":"","lastTransitionTime":"2020-01-01T00:00:00Z"}]}}`, "Content-Type", mergePatch)
	wants(t, s, 500, "POST", svcs, service("none", ""))
	wants(t, s, 200, "DELETE", svcs+"/s3", "")
	wants(t, s, 201, "POST", svcs, service("again", ""))
}
