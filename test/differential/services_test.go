package differential

import (
	"fmt"
	"math/rand/v2"
	"net/http"
)

// servicesAtRandom puts a long sequence of writes to a few Services: types, addresses, families, node ports and balancers
// change into one another. What is asked for by number lies in the halves of the ranges that are not given away unasked.
func servicesAtRandom(p *Pair, seed uint64, steps int) {
	const ns = "services-at-random"
	p.namespace(ns)
	d := serviceDice{rand.New(rand.NewPCG(seed, 77))}
	list := "/api/v1/namespaces/" + ns + "/services"
	for i := range steps {
		name := fmt.Sprintf("s%d", d.IntN(4))
		one := list + "/" + name
		if p.AskFrail(fmt.Sprintf("services/%d/%d ", seed, i), d.request(list, name)) {
			p.Ask(fmt.Sprintf("services/%d/%d get", seed, i), Request{Method: http.MethodGet, Path: one})
		} else {
			p.both(p.t.Context(), Request{Method: http.MethodDelete, Path: one})
		}
	}
	for _, path := range []string{"/apis/networking.k8s.io/v1/ipaddresses/10.97.0.20", "/apis/networking.k8s.io/v1/ipaddresses/10.97.0.21", list, "/api/v1/namespaces/" + ns + "/endpoints"} {
		p.Ask(fmt.Sprintf("services/%d/end", seed), Request{Method: http.MethodGet, Path: path})
	}
	for i := range 4 {
		p.both(p.t.Context(), Request{Method: http.MethodDelete, Path: fmt.Sprintf("%s/s%d", list, i)})
	}
}

type serviceDice struct{ *rand.Rand }

func (d serviceDice) of(list ...any) any { return list[d.IntN(len(list))] }

func (d serviceDice) request(list, name string) Request {
	one := list + "/" + name
	switch d.IntN(8) {
	case 0, 1:
		return Request{Method: http.MethodPost, Path: list + d.dry(), Body: text(d.service(name))}
	case 2, 3:
		return Request{Method: http.MethodPut, Path: one + d.dry(), Body: text(d.service(name))}
	case 4, 5:
		return Request{Method: http.MethodPatch, Path: one + d.dry(), Type: mergeType, Body: text(map[string]any{"spec": d.part()})}
	case 6:
		return Request{Method: http.MethodPatch, Path: one + "?force=true&fieldManager=" + d.of("a", "b").(string), Type: applyType, Body: text(d.service(name))}
	}
	return Request{Method: http.MethodDelete, Path: one + d.dry()}
}

func (d serviceDice) dry() string { return d.of("", "", "", "?dryRun=All").(string) }

func (d serviceDice) service(name string) map[string]any {
	spec := d.part()
	if spec["ports"] == nil && d.IntN(4) > 0 {
		spec["ports"] = d.ports()
	}
	for k, v := range spec {
		if v == nil {
			delete(spec, k)
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name}, "spec": spec}
}

func (d serviceDice) ports() []any {
	first := map[string]any{"name": "a", "port": d.of(80, 81)}
	if d.IntN(3) == 0 {
		first["nodePort"] = d.of(30001, 30002, 80)
	}
	if d.IntN(3) > 0 {
		return []any{first}
	}
	second := map[string]any{"name": d.of("b", "b", "b", "a"), "port": d.of(80, 90), "protocol": d.of("TCP", "UDP", "UDP")}
	if d.IntN(3) == 0 {
		second["nodePort"] = d.of(30001, 30003)
	}
	return []any{first, second}
}

// part is a few fields of a spec, null among them.
func (d serviceDice) part() map[string]any {
	out := map[string]any{}
	for _, f := range []struct {
		name   string
		rarity int
		values []any
	}{
		{"type", 2, []any{"ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Odd"}},
		{"clusterIP", 4, []any{"10.97.0.20", "10.97.0.21", "None", "None", "", "10.1.1.1", nil}},
		{"clusterIPs", 8, []any{[]any{"10.97.0.20"}, []any{"10.97.0.21"}, []any{"None"}, []any{}, nil, []any{"10.97.0.20", "fd00::1"}}},
		{"externalName", 3, []any{"a.example", "b.example", nil}},
		{"ipFamilyPolicy", 6, []any{"SingleStack", "PreferDualStack", "RequireDualStack", nil}},
		{"ipFamilies", 8, []any{[]any{"IPv4"}, []any{"IPv6"}, []any{"IPv4", "IPv6"}, nil}},
		{"externalTrafficPolicy", 3, []any{"Local", "Cluster", nil}},
		{"internalTrafficPolicy", 5, []any{"Local", "Cluster", nil}},
		{"healthCheckNodePort", 8, []any{30010, 30011, 0, nil}},
		{"allocateLoadBalancerNodePorts", 5, []any{true, false, nil}},
		{"loadBalancerClass", 8, []any{"example.com/one", "example.com/two", nil}},
		{"loadBalancerSourceRanges", 9, []any{[]any{"10.0.0.0/8"}, nil}},
		{"loadBalancerIP", 9, []any{"192.0.2.1", nil}},
		{"sessionAffinity", 6, []any{"ClientIP", "None", nil}},
		{"sessionAffinityConfig", 9, []any{map[string]any{"clientIP": map[string]any{"timeoutSeconds": 5}}, nil}},
		{"externalIPs", 9, []any{[]any{"192.0.2.9"}, nil}},
		{"publishNotReadyAddresses", 9, []any{true, nil}},
		{"selector", 4, []any{map[string]any{"app": "x"}, nil}},
		{"trafficDistribution", 9, []any{"PreferClose", "PreferSameNode", nil}},
	} {
		if d.IntN(f.rarity) == 0 {
			out[f.name] = f.values[d.IntN(len(f.values))]
		}
	}
	if d.IntN(3) == 0 {
		out["ports"] = d.ports()
	}
	return out
}
