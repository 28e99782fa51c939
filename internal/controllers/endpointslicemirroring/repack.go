package endpointslicemirroring

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// group is the addresses that have the same ports.
type group struct {
	ports     []corev1.EndpointPort
	addresses []address
}

// address is one that a subset has, and whether it is ready.
type address struct {
	corev1.EndpointAddress
	ready bool
}

// told is what the subsets say: of each address (by IP and pod) which ports it has, and whether it is ready for them. The
// name of no port is "".
type told struct {
	ready     map[string]map[string]bool
	addresses map[string]corev1.EndpointAddress
	ports     map[string]corev1.EndpointPort
}

// repack joins what the subsets say of one address: the ports that it has in any of them belong together, and where it is not
// ready in one, it is not ready for that port. Groups stand in the order of their ports, those that are ready before others.
func repack(subsets []corev1.EndpointSubset) (out []group) {
	t := told{map[string]map[string]bool{}, map[string]corev1.EndpointAddress{}, map[string]corev1.EndpointPort{}}
	for _, s := range subsets {
		t.tell(s.Addresses, s.Ports, true)
		t.tell(s.NotReadyAddresses, s.Ports, false)
	}
	groups := map[string]*group{}
	for _, ready := range []bool{true, false} {
		for _, a := range slices.Sorted(maps.Keys(t.addresses)) {
			names := t.names(a, ready)
			if len(names) == 0 {
				continue
			}
			id := strings.Join(names, ",")
			if groups[id] == nil {
				groups[id] = &group{ports: t.named(names)}
			}
			groups[id].addresses = append(groups[id].addresses, address{t.addresses[a], ready})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, *groups[id])
	}
	return out
}

func (t *told) tell(list []corev1.EndpointAddress, ports []corev1.EndpointPort, ready bool) {
	names := []string{""}
	if len(ports) > 0 {
		names = names[:0]
	}
	for _, p := range ports {
		name := fmt.Sprintf("%s/%s/%d/%s", p.Name, p.Protocol, p.Port, deref(p.AppProtocol))
		names, t.ports[name] = append(names, name), p
	}
	for _, a := range list {
		key := a.IP
		if a.TargetRef != nil {
			key += " " + string(a.TargetRef.UID)
		}
		if t.ready[key] == nil {
			t.ready[key], t.addresses[key] = map[string]bool{}, a
		}
		for _, name := range names {
			was, known := t.ready[key][name]
			t.ready[key][name] = ready && (was || !known)
		}
	}
}

// names are the ports for which an address is ready, or is not, in order.
func (t *told) names(address string, ready bool) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(t.ready[address])) {
		if t.ready[address][name] == ready {
			names = append(names, name)
		}
	}
	return names
}

func (t *told) named(names []string) (out []corev1.EndpointPort) {
	for _, name := range names {
		if p, ok := t.ports[name]; ok {
			out = append(out, p)
		}
	}
	return out
}
