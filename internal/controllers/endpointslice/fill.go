package endpointslice

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxEndpoints is upstream's default size of a slice.
const maxEndpoints = 100

// fill matches the wanted groups with the slices that exist: an endpoint stays in the slice that has it, new ones go
// where room is, and only what differs is written. It is pure.
func fill(svc *corev1.Service, have []*discoveryv1.EndpointSlice, want map[string]*group) (ch Changes) {
	slices.SortFunc(have, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	byPorts := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range have {
		if s.AddressType != discoveryv1.AddressTypeIPv4 {
			ch.Remove = append(ch.Remove, s)
			continue
		}
		byPorts[portsKey(s.Ports)] = append(byPorts[portsKey(s.Ports)], s)
	}
	if len(want) == 0 { // one empty slice says that the Service is known and has no pods
		want = map[string]*group{"": {ports: []discoveryv1.EndpointPort{}}}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		fillGroup(svc, byPorts[key], want[key], &ch)
		delete(byPorts, key)
	}
	for _, key := range slices.Sorted(maps.Keys(byPorts)) {
		ch.Remove = append(ch.Remove, byPorts[key]...)
	}
	ch.reuse(svc)
	return ch
}

// reuse has a slice that would go hold what would be created: one write does for two, and nobody meets a Service with both,
// such as the empty slice of a Service without pods beside that of its first pod.
func (ch *Changes) reuse(svc *corev1.Service) {
	gone := ch.Remove
	ch.Remove = nil
	for _, s := range gone {
		last := len(ch.Create) - 1
		if last < 0 || s.AddressType != discoveryv1.AddressTypeIPv4 || !metav1.IsControlledBy(s, svc) {
			ch.Remove = append(ch.Remove, s)
			continue
		}
		ch.Update = append(ch.Update, with(svc, s, ch.Create[last].Ports, ch.Create[last].Endpoints))
		ch.Create = ch.Create[:last]
	}
}

func fillGroup(svc *corev1.Service, have []*discoveryv1.EndpointSlice, g *group, ch *Changes) {
	left := map[string]discoveryv1.Endpoint{}
	for _, ep := range g.endpoints {
		left[identity(ep)] = ep
	}
	filled := make([][]discoveryv1.Endpoint, len(have))
	for i, s := range have {
		for _, ep := range s.Endpoints {
			if now, ok := left[identity(ep)]; ok {
				filled[i] = append(filled[i], now)
				delete(left, identity(ep))
			}
		}
	}
	var fresh []discoveryv1.Endpoint
	for _, ep := range g.endpoints {
		if _, ok := left[identity(ep)]; ok {
			fresh = append(fresh, ep)
		}
	}
	for i := range filled {
		n := min(maxEndpoints-len(filled[i]), len(fresh))
		filled[i] = append(filled[i], fresh[:max(n, 0)]...)
		fresh = fresh[max(n, 0):]
	}
	kept := 0
	for i, s := range have {
		if len(filled[i]) == 0 && (kept > 0 || i < len(have)-1 || len(fresh) > 0) {
			ch.Remove = append(ch.Remove, s)
			continue
		}
		kept++
		if c := with(svc, s, g.ports, filled[i]); !equality.Semantic.DeepEqual(c, s) {
			ch.Update = append(ch.Update, c)
		}
	}
	for part := range slices.Chunk(fresh, maxEndpoints) {
		kept++
		ch.Create = append(ch.Create, with(svc, newSlice(svc), g.ports, part))
	}
	if kept == 0 {
		ch.Create = append(ch.Create, with(svc, newSlice(svc), g.ports, nil))
	}
}

func identity(ep discoveryv1.Endpoint) string {
	if ep.TargetRef == nil {
		return ep.Addresses[0]
	}
	return string(ep.TargetRef.UID) + "/" + ep.Addresses[0]
}

func portsKey(ports []discoveryv1.EndpointPort) string {
	parts := make([]string, len(ports))
	for i, p := range ports {
		app := ""
		if p.AppProtocol != nil {
			app = *p.AppProtocol
		}
		parts[i] = fmt.Sprintf("%s/%s/%d/%s", deref(p.Name), deref(p.Protocol), deref(p.Port), app)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func newSlice(svc *corev1.Service) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, GenerateName: svc.Name + "-",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, corev1.SchemeGroupVersion.WithKind("Service"))}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
}

// with returns a copy of s with these ports, endpoints and the labels of the Service.
func with(svc *corev1.Service, s *discoveryv1.EndpointSlice, ports []discoveryv1.EndpointPort, eps []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	c := s.DeepCopy()
	c.Ports, c.Endpoints = ports, eps
	c.Labels = map[string]string{}
	for k, v := range svc.Labels {
		if k != corev1.IsHeadlessService {
			c.Labels[k] = v
		}
	}
	c.Labels[discoveryv1.LabelServiceName], c.Labels[discoveryv1.LabelManagedBy] = svc.Name, ManagedBy
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		c.Labels[corev1.IsHeadlessService] = ""
	}
	const triggered = "endpoints.kubernetes.io/last-change-trigger-time"
	if v, ok := svc.Annotations[triggered]; ok {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[triggered] = v
	}
	return c
}
