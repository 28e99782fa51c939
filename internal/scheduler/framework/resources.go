package framework

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Resources are amounts: CPU in millicores, everything else in its own unit. Those that every node has are fields, because
// a scheduler compares them for every pod with every node.
type Resources struct {
	CPU, Memory, Storage, Pods int64                         // Storage is ephemeral-storage
	Other                      map[corev1.ResourceName]int64 // huge pages, extended resources; nil where there are none
}

func amounts(list corev1.ResourceList) (out Resources) {
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			out.CPU = q.MilliValue()
		case corev1.ResourceMemory:
			out.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			out.Storage = q.Value()
		case corev1.ResourcePods:
			out.Pods = q.Value()
		default:
			if out.Other == nil {
				out.Other = map[corev1.ResourceName]int64{}
			}
			out.Other[name] = q.Value()
		}
	}
	return out
}

func (r Resources) equal(o Resources) bool {
	return r.CPU == o.CPU && r.Memory == o.Memory && r.Storage == o.Storage && r.Pods == o.Pods && maps.Equal(r.Other, o.Other)
}

// add counts sign times o; r owns its Other.
func (r *Resources) add(o *Resources, sign int64) {
	r.CPU += sign * o.CPU
	r.Memory += sign * o.Memory
	r.Storage += sign * o.Storage
	r.Pods += sign * o.Pods
	for name, v := range o.Other {
		if r.Other == nil {
			r.Other = map[corev1.ResourceName]int64{}
		}
		r.Other[name] += sign * v
	}
}

// Short names what is wanted and not free where so much of all is used, in order; nil where everything fits. The resource
// pods is not looked at.
func (r *Resources) Short(all, used *Resources) []string {
	var names []string
	for _, x := range [...]struct {
		name              corev1.ResourceName
		want, there, gone int64
	}{{corev1.ResourceCPU, r.CPU, all.CPU, used.CPU}, {corev1.ResourceEphemeralStorage, r.Storage, all.Storage, used.Storage},
		{corev1.ResourceMemory, r.Memory, all.Memory, used.Memory}} {
		if x.want > 0 && x.want > x.there-x.gone {
			names = append(names, string(x.name))
		}
	}
	for name, want := range r.Other {
		if want > 0 && want > all.Other[name]-used.Other[name] {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}
