package endpointslice

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// wanted makes n endpoints of pods at a port.
func wanted(port int32, n int) *group {
	g := &group{ports: []discoveryv1.EndpointPort{{Port: &port}}}
	for i := range n {
		g.endpoints = append(g.endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.0.%d", port, i)}})
	}
	return g
}

func wants(groups ...*group) map[string]*group {
	m := map[string]*group{}
	for _, g := range groups {
		m[portsKey(g.ports)] = g
	}
	return m
}

// TestFill tells what is written for what is there and what is wanted: name(ports; endpoints) of each slice.
func TestFill(t *testing.T) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s", UID: "1"}}
	slice := func(name string, g *group) *discoveryv1.EndpointSlice {
		s := with(svc, newSlice(svc), g.ports, g.endpoints)
		s.Name = name
		return s
	}
	strange := slice("strange", wanted(80, 1))
	strange.OwnerReferences = nil
	six := slice("six", wanted(80, 1))
	six.AddressType = discoveryv1.AddressTypeIPv6
	empty := &group{}
	for name, c := range map[string]struct {
		have []*discoveryv1.EndpointSlice
		want map[string]*group
		does string
	}{
		"a new Service":                      {nil, nil, "create (0; 0)"},
		"still no pods":                      {[]*discoveryv1.EndpointSlice{slice("x", empty)}, nil, ""},
		"the first pod":                      {[]*discoveryv1.EndpointSlice{slice("x", empty)}, wants(wanted(80, 1)), "update x(1; 1)"},
		"pods of two ports":                  {[]*discoveryv1.EndpointSlice{slice("x", empty)}, wants(wanted(80, 1), wanted(81, 2)), "create (1; 1) update x(1; 2)"},
		"nothing changes":                    {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 2))}, wants(wanted(80, 2)), ""},
		"one pod more":                       {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 2))}, wants(wanted(80, 3)), "update x(1; 3)"},
		"the last pod goes":                  {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 2))}, nil, "update x(0; 0)"},
		"all pods of two ports go":           {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 2)), slice("y", wanted(81, 2))}, nil, "update x(0; 0) remove y(1; 2)"},
		"another port":                       {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 2))}, wants(wanted(81, 2)), "update x(1; 2)"},
		"more than a slice holds":            {[]*discoveryv1.EndpointSlice{slice("x", wanted(80, 99))}, wants(wanted(80, 250)), "create (1; 100) create (1; 50) update x(1; 100)"},
		"a slice of nobody is not taken":     {[]*discoveryv1.EndpointSlice{strange}, wants(wanted(81, 1)), "create (1; 1) remove strange(1; 1)"},
		"nor one of another kind of address": {[]*discoveryv1.EndpointSlice{six}, wants(wanted(80, 1)), "create (1; 1) remove six(1; 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			ch := fill(svc, c.have, c.want)
			var does []string
			for verb, all := range map[string][]*discoveryv1.EndpointSlice{"create": ch.Create, "update": ch.Update, "remove": ch.Remove} {
				for _, s := range all {
					does = append(does, fmt.Sprintf("%s %s(%d; %d)", verb, s.Name, len(s.Ports), len(s.Endpoints)))
				}
			}
			if got := sorted(does); got != c.does {
				t.Errorf("%s, want %s", got, c.does)
			}
		})
	}
}

// sorted puts creations before updates before removals, each as they come.
func sorted(does []string) string {
	var out []string
	for _, verb := range []string{"create", "update", "remove"} {
		for _, d := range does {
			if strings.HasPrefix(d, verb) {
				out = append(out, d)
			}
		}
	}
	return strings.Join(out, " ")
}
