package endpointslicemirroring

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netutils "k8s.io/utils/net"

	"minato.dev/minato/internal/controllers/endpointslice"
)

// maxAddresses is how many addresses of a subset are shown.
const maxAddresses = 1000

// changes is what to write, and how many addresses were too many.
type changes struct {
	endpointslice.Changes
	skipped int
}

// picture is one slice that should be.
type picture struct {
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// plan matches what should be with the slices that are there: one of the same ports and family stays, another of the family
// takes over new ports, and only what differs is written. It is pure.
func plan(o *corev1.Endpoints, have []*discoveryv1.EndpointSlice) (ch changes) {
	want, skipped := pictures(o.Subsets)
	ch.skipped = skipped
	have = slices.SortedFunc(slices.Values(have), func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	take := func(fits func(*discoveryv1.EndpointSlice) bool) *discoveryv1.EndpointSlice {
		i := slices.IndexFunc(have, fits)
		if i < 0 {
			return nil
		}
		s := have[i]
		have = slices.Delete(have, i, i+1)
		return s
	}
	var homeless []*picture
	for _, key := range slices.Sorted(maps.Keys(want)) {
		p := want[key]
		s := take(func(s *discoveryv1.EndpointSlice) bool { return keyOf(s.AddressType, s.Ports) == key })
		if s == nil {
			homeless = append(homeless, p)
		} else if next := p.on(s, o); !equality.Semantic.DeepEqual(next, s) {
			ch.Update = append(ch.Update, next)
		}
	}
	for _, p := range homeless {
		if s := take(func(s *discoveryv1.EndpointSlice) bool { return s.AddressType == p.family }); s != nil {
			ch.Update = append(ch.Update, p.on(s, o))
			continue
		}
		ch.Create = append(ch.Create, p.on(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, GenerateName: o.Name + "-",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o, corev1.SchemeGroupVersion.WithKind("Endpoints"))}}, AddressType: p.family}, o))
	}
	ch.Remove = have
	return ch
}

// on returns s as a mirror of o that shows p.
func (p *picture) on(s *discoveryv1.EndpointSlice, o *corev1.Endpoints) *discoveryv1.EndpointSlice {
	s = s.DeepCopy()
	s.Labels, s.Annotations = map[string]string{}, map[string]string{}
	maps.Copy(s.Labels, o.Labels)
	s.Labels[discoveryv1.LabelServiceName], s.Labels[discoveryv1.LabelManagedBy] = o.Name, ManagedBy
	for k, v := range o.Annotations {
		if k != corev1.EndpointsLastChangeTriggerTime && k != corev1.LastAppliedConfigAnnotation {
			s.Annotations[k] = v
		}
	}
	s.Ports, s.Endpoints = p.ports, p.endpoints
	return s
}

// pictures works out the slices of subsets, by family and ports.
func pictures(subsets []corev1.EndpointSubset) (out map[string]*picture, skipped int) {
	out = map[string]*picture{}
	for _, g := range repack(subsets) {
		ports := portsOf(g.ports)
		for i, a := range g.addresses {
			ip := netutils.ParseIPSloppy(a.IP)
			if i >= maxAddresses || ip == nil {
				skipped++
				continue
			}
			family := discoveryv1.AddressTypeIPv4
			if ip.To4() == nil {
				family = discoveryv1.AddressTypeIPv6
			}
			key := keyOf(family, ports)
			if out[key] == nil {
				out[key] = &picture{family: family, ports: ports}
			}
			ready := a.ready
			e := discoveryv1.Endpoint{Addresses: []string{ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, TargetRef: a.TargetRef, NodeName: a.NodeName}
			if a.Hostname != "" {
				e.Hostname = &a.Hostname
			}
			out[key].endpoints = append(out[key].endpoints, e)
		}
	}
	return out, skipped
}

func portsOf(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for _, p := range ports {
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &p.Port, AppProtocol: p.AppProtocol})
	}
	return out
}

func keyOf(family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	var parts []string
	for _, p := range ports {
		parts = append(parts, fmt.Sprintf("%s/%s/%d/%s", deref(p.Name), deref(p.Protocol), deref(p.Port), deref(p.AppProtocol)))
	}
	slices.Sort(parts)
	return string(family) + " " + strings.Join(parts, ",")
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
