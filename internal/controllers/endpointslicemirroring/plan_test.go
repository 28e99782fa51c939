package endpointslicemirroring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// show writes a slice as "family ports: address address(not ready)".
func show(s *discoveryv1.EndpointSlice) string {
	var b strings.Builder
	fmt.Fprint(&b, s.AddressType)
	for _, p := range s.Ports {
		fmt.Fprintf(&b, " %s%d", *p.Name, *p.Port)
	}
	b.WriteString(":")
	for _, e := range s.Endpoints {
		fmt.Fprintf(&b, " %s", e.Addresses[0])
		if !*e.Conditions.Ready {
			b.WriteString("!")
		}
	}
	return b.String()
}

func showAll(list []*discoveryv1.EndpointSlice) string {
	var out []string
	for _, s := range list {
		out = append(out, show(s))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// subset reads "a80 b81: 1.2.3.4 1.2.3.5!".
func subset(text string) (s corev1.EndpointSubset) {
	ports, addresses, _ := strings.Cut(text, ":")
	for _, f := range strings.Fields(ports) {
		p := corev1.EndpointPort{Name: f[:1], Protocol: corev1.ProtocolTCP}
		if _, err := fmt.Sscan(f[1:], &p.Port); err != nil {
			panic(err)
		}
		s.Ports = append(s.Ports, p)
	}
	for _, f := range strings.Fields(addresses) {
		if ip, not := strings.CutSuffix(f, "!"); not {
			s.NotReadyAddresses = append(s.NotReadyAddresses, corev1.EndpointAddress{IP: ip})
		} else {
			s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: ip})
		}
	}
	return s
}

func made(subsets ...string) *corev1.Endpoints {
	o := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", Labels: map[string]string{"app": "x"},
		Annotations: map[string]string{"note": "y", corev1.LastAppliedConfigAnnotation: "{}", corev1.EndpointsLastChangeTriggerTime: "now"}}}
	for _, s := range subsets {
		o.Subsets = append(o.Subsets, subset(s))
	}
	return o
}

func TestPictures(t *testing.T) {
	for _, c := range []struct {
		what    string
		subsets []string
		want    string
	}{
		{"nothing", nil, ""},
		{"one", []string{"a80: 10.0.0.1 10.0.0.2!"}, "IPv4 a80: 10.0.0.1 10.0.0.2!"},
		{"no port", []string{": 10.0.0.1"}, "IPv4: 10.0.0.1"},
		{"both families", []string{"a80: 10.0.0.1 fd00::1"}, "IPv4 a80: 10.0.0.1; IPv6 a80: fd00::1"},
		{"one address in two subsets", []string{"a80: 10.0.0.1", "b81: 10.0.0.1"}, "IPv4 a80 b81: 10.0.0.1"},
		{"two addresses in two subsets", []string{"a80: 10.0.0.1", "b81: 10.0.0.2"}, "IPv4 a80: 10.0.0.1; IPv4 b81: 10.0.0.2"},
		{"not ready wins", []string{"a80: 10.0.0.1", "a80: 10.0.0.1!"}, "IPv4 a80: 10.0.0.1!"},
		{"ready for one port only", []string{"a80: 10.0.0.1", "b81: 10.0.0.1!"}, "IPv4 a80: 10.0.0.1; IPv4 b81: 10.0.0.1!"},
		{"an old way to write it", []string{"a80: 010.0.0.1"}, "IPv4 a80: 10.0.0.1"},
	} {
		ch := plan(made(c.subsets...), nil)
		if got := showAll(ch.Create); got != c.want || len(ch.Update)+len(ch.Remove)+ch.skipped > 0 {
			t.Errorf("%s: %s, %+v", c.what, got, ch)
		}
	}
	var many strings.Builder
	for i := range maxAddresses + 7 {
		fmt.Fprintf(&many, " 10.0.%d.%d", i/200, i%200+1)
	}
	if ch := plan(made("a80:"+many.String()), nil); ch.skipped != 7 || len(ch.Create) != 1 || len(ch.Create[0].Endpoints) != maxAddresses {
		t.Errorf("too many: %d skipped", ch.skipped)
	}
}

func TestPlan(t *testing.T) {
	first := plan(made("a80: 10.0.0.1"), nil).Create[0]
	if first.GenerateName != "web-" || first.OwnerReferences[0].Kind != "Endpoints" || fmt.Sprint(first.Labels) !=
		"map[app:x endpointslice.kubernetes.io/managed-by:endpointslicemirroring-controller.k8s.io kubernetes.io/service-name:web]" || fmt.Sprint(first.Annotations) != "map[note:y]" {
		t.Errorf("new slice: %+v", first.ObjectMeta)
	}
	first.Name = "web-1"
	second := plan(made("b81: 10.0.0.2"), nil).Create[0]
	second.Name = "web-2"
	relabelled := made("a80: 10.0.0.1")
	relabelled.Labels["app"] = "z"
	both := []*discoveryv1.EndpointSlice{first, second}
	for _, c := range []struct {
		what                   string
		o                      *corev1.Endpoints
		have                   []*discoveryv1.EndpointSlice
		create, update, remove string
	}{
		{"nothing to do", made("a80: 10.0.0.1"), both[:1], "", "", ""},
		{"another address", made("a80: 10.0.0.2"), both[:1], "", "IPv4 a80: 10.0.0.2", ""},
		{"another port takes the slice over", made("c80: 10.0.0.1"), both[:1], "", "IPv4 c80: 10.0.0.1", ""},
		{"another family does not", made("a80: fd00::1"), both[:1], "IPv6 a80: fd00::1", "", "IPv4 a80: 10.0.0.1"},
		{"one is left over", made("a80: 10.0.0.1"), both, "", "", "IPv4 b81: 10.0.0.2"},
		{"all are", made(), both, "", "", "IPv4 a80: 10.0.0.1; IPv4 b81: 10.0.0.2"},
		{"other labels", relabelled, both[:1], "", "IPv4 a80: 10.0.0.1", ""},
	} {
		ch := plan(c.o, c.have)
		if a, b, r := showAll(ch.Create), showAll(ch.Update), showAll(ch.Remove); a != c.create || b != c.update || r != c.remove {
			t.Errorf("%s: create %q, update %q, remove %q", c.what, a, b, r)
		}
	}
	if showAll(both) != "IPv4 a80: 10.0.0.1; IPv4 b81: 10.0.0.2" {
		t.Error("plan changed what it was given")
	}
}
