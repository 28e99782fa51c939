package admission

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	resourcehelper "k8s.io/component-helpers/resource"
)

// usage is what one object uses, under every name by which a quota may limit it.
func usage(gr schema.GroupResource, obj runtime.Object) corev1.ResourceList {
	l := corev1.ResourceList{countName(gr): one}
	if legacyCounted[gr.String()] {
		l[corev1.ResourceName(gr.Resource)] = one
	}
	switch o := obj.(type) {
	case *corev1.Pod:
		podUsage(l, o)
	case *corev1.Service:
		serviceUsage(l, o)
	case *corev1.PersistentVolumeClaim:
		claimUsage(l, o)
	}
	return l
}

var one = *resource.NewQuantity(1, resource.DecimalSI)

// legacyCounted are the core kinds that quotas counted by their plain name before there was "count/".
var legacyCounted = map[string]bool{"configmaps": true, "secrets": true, "replicationcontrollers": true, "resourcequotas": true,
	"services": true, "persistentvolumeclaims": true}

func countName(gr schema.GroupResource) corev1.ResourceName {
	return corev1.ResourceName("count/" + gr.String())
}

// podUsage counts a pod's resources until it has ended.
func podUsage(l corev1.ResourceList, p *corev1.Pod) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return
	}
	l[corev1.ResourcePods] = one
	requests := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{UseStatusResources: true})
	limits := resourcehelper.PodLimits(p, resourcehelper.PodResourcesOptions{})
	for name, v := range requests {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage, strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			l[name], l[corev1.DefaultResourceRequestsPrefix+name] = v, v
		case strings.Contains(string(name), "/"):
			l[corev1.DefaultResourceRequestsPrefix+name] = v
		}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if v, ok := limits[name]; ok {
			l["limits."+name] = v
		}
	}
}

func serviceUsage(l corev1.ResourceList, s *corev1.Service) {
	ports := *resource.NewQuantity(int64(len(s.Spec.Ports)), resource.DecimalSI)
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		l[corev1.ResourceServicesNodePorts] = ports
	case corev1.ServiceTypeLoadBalancer:
		l[corev1.ResourceServicesLoadBalancers] = one
		if own := s.Spec.AllocateLoadBalancerNodePorts; own == nil || *own {
			l[corev1.ResourceServicesNodePorts] = ports
		} else {
			n := int64(0)
			for _, p := range s.Spec.Ports {
				if p.NodePort != 0 {
					n++
				}
			}
			l[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(n, resource.DecimalSI)
		}
	}
}

// ofClass is what a quota writes after a storage class's name.
const ofClass = ".storageclass.storage.k8s.io/"

func claimUsage(l corev1.ResourceList, c *corev1.PersistentVolumeClaim) {
	class := corev1.ResourceName(claimClass(c) + ofClass)
	if class != ofClass {
		l[class+corev1.ResourcePersistentVolumeClaims] = one
	}
	v, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return
	}
	if grown, ok := c.Status.AllocatedResources[corev1.ResourceStorage]; ok && grown.Cmp(v) > 0 {
		v = grown
	}
	l[corev1.ResourceRequestsStorage] = v
	if class != ofClass {
		l[class+corev1.ResourceRequestsStorage] = v
	}
}

// resourceOf is the resource whose objects use name.
func resourceOf(name corev1.ResourceName) (schema.GroupResource, bool) {
	s := string(name)
	switch {
	case strings.HasPrefix(s, "count/"):
		return schema.ParseGroupResource(strings.TrimPrefix(s, "count/")), true
	case strings.Contains(s, ofClass), name == corev1.ResourceRequestsStorage:
		return claims, true
	case strings.HasPrefix(s, "services."):
		return corev1.Resource("services"), true
	case legacyCounted[s]:
		return corev1.Resource(s), true
	}
	return pods, !strings.Contains(s, "/") || strings.HasPrefix(s, corev1.DefaultResourceRequestsPrefix)
}

// QuotaCounts names the resources whose objects q limits, in order.
func QuotaCounts(q *corev1.ResourceQuota) (out []schema.GroupResource) {
	for name := range q.Spec.Hard {
		if gr, ok := resourceOf(name); ok && !slices.Contains(out, gr) {
			out = append(out, gr)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out
}

// zero is nothing, written as quantities of this name are.
func zero(name corev1.ResourceName) resource.Quantity {
	if strings.Contains(string(name), "memory") || strings.Contains(string(name), "storage") {
		return *resource.NewQuantity(0, resource.BinarySI)
	}
	return *resource.NewQuantity(0, resource.DecimalSI)
}

// mustSpecify: where a quota limits CPU or memory, each container of a pod must say what it wants of it.
func mustSpecify(gr schema.GroupResource, q *corev1.ResourceQuota, obj runtime.Object) error {
	pod, ok := obj.(*corev1.Pod)
	if !ok || gr != pods || resourcehelper.IsPodLevelResourcesSet(pod) {
		return nil
	}
	var parts []string
	for _, name := range []corev1.ResourceName{"cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"} {
		if _, limited := q.Spec.Hard[name]; !limited {
			continue
		}
		var missing []string
		for _, c := range append(slices.Clone(pod.Spec.Containers), pod.Spec.InitContainers...) {
			if !specifies(&c, string(name)) {
				missing = append(missing, c.Name)
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			parts = append(parts, fmt.Sprintf("%s for: %s", name, strings.Join(slices.Compact(missing), ",")))
		}
	}
	if len(parts) > 0 {
		return fmt.Errorf("must specify %s", strings.Join(parts, "; "))
	}
	return nil
}

func specifies(c *corev1.Container, name string) bool {
	from, base := c.Resources.Requests, strings.TrimPrefix(name, "requests.")
	if limit, ok := strings.CutPrefix(name, "limits."); ok {
		from, base = c.Resources.Limits, limit
	}
	_, ok := from[corev1.ResourceName(base)]
	return ok
}
