package kubelet

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// allocatable is what pods may ask for together: the machine without what is reserved for the system, for the node's own
// programs, and for the time that it takes to evict pods before the machine has nothing left.
func (k *Kubelet) allocatable() corev1.ResourceList {
	list := k.capacity()
	less := func(name corev1.ResourceName, q resource.Quantity) {
		have, ok := list[name]
		if !ok {
			return
		}
		have.Sub(q)
		if have.Sign() < 0 {
			have = *resource.NewQuantity(0, have.Format)
		}
		list[name] = have
	}
	for _, reserved := range []corev1.ResourceList{k.cfg.SystemReserved, k.cfg.KubeReserved} {
		for name, q := range reserved {
			less(name, q)
		}
	}
	less(corev1.ResourceMemory, *resource.NewQuantity(k.evictAt.memory, resource.BinarySI))
	less(corev1.ResourceEphemeralStorage, *resource.NewQuantity(k.evictAt.disk, resource.BinarySI))
	for name, q := range list {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			less(corev1.ResourceMemory, q) // set aside already
		}
	}
	return list
}
