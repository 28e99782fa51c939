package kubelet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// use is what a pod takes of the machine.
type use struct {
	memory, disk, inodes, processes int64
	containers                      map[string]containerUse
}

// containerUse is what one container of it takes.
type containerUse struct{ memory, disk, inodes int64 }

// podUse asks the runtime what the pods take, by UID.
func (k *Kubelet) podUse(ctx context.Context) (map[types.UID]use, error) {
	list, err := k.cfg.CRI.ListPodSandboxStats(ctx, &runtimeapi.ListPodSandboxStatsRequest{})
	if err != nil {
		return nil, err
	}
	out := map[types.UID]use{}
	for _, s := range list.Stats {
		u := use{memory: int64(s.GetLinux().GetMemory().GetWorkingSetBytes().GetValue()), containers: map[string]containerUse{},
			processes: int64(s.GetLinux().GetProcess().GetProcessCount().GetValue())}
		for _, c := range s.GetLinux().GetContainers() {
			one := containerUse{memory: int64(c.GetMemory().GetWorkingSetBytes().GetValue()), disk: int64(c.GetWritableLayer().GetUsedBytes().GetValue()),
				inodes: int64(c.GetWritableLayer().GetInodesUsed().GetValue())}
			u.containers[c.GetAttributes().GetMetadata().GetName()] = one
			u.disk, u.inodes = u.disk+one.disk, u.inodes+one.inodes
		}
		out[types.UID(s.GetAttributes().GetLabels()[seen.PodUID])] = u
	}
	return out, nil
}

// of is what the pod takes of the resource that is short.
func (u use) of(s shortage) int64 {
	switch {
	case s.memory:
		return u.memory
	case s.inodes:
		return u.inodes
	case s.condition == corev1.NodePIDPressure:
		return u.processes
	}
	return u.disk
}

func (s shortage) name() corev1.ResourceName {
	if s.memory {
		return corev1.ResourceMemory
	}
	return corev1.ResourceEphemeralStorage
}

// victim is the pod to end: those that take more than they asked for first, then the lower priority, then the larger use
// above what was asked for.
func victim(all []*worker, s shortage, uses map[types.UID]use) (*worker, use) {
	type candidate struct {
		w              *worker
		priority       int32
		exceeds, above int64
	}
	var list []candidate
	for _, w := range all {
		w.mu.Lock()
		pod, free := w.next, w.evict == nil && !w.gone && anyLive(w.shownSeen)
		w.mu.Unlock()
		if !free || pod.DeletionTimestamp != nil || critical(pod) {
			continue
		}
		requests := resourcehelper.PodRequests(w.book.Granted(pod), resourcehelper.PodResourcesOptions{})
		request := requests[s.name()]
		c := candidate{w: w, priority: priority(pod), above: uses[pod.UID].of(s)}
		if !s.numbers {
			c.above -= request.Value()
			if c.above > 0 {
				c.exceeds = 1
			}
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, use{}
	}
	w := slices.MinFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.exceeds, a.exceeds), cmp.Compare(a.priority, b.priority), cmp.Compare(b.above, a.above))
	}).w
	return w, uses[w.uid]
}

// blame names the containers that take more than they asked for.
func (u use) blame(w *worker, s shortage) string {
	if s.numbers {
		return ""
	}
	w.mu.Lock()
	pod := w.next
	w.mu.Unlock()
	var b strings.Builder
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		took := u.containers[c.Name].disk
		if s.memory {
			took = u.containers[c.Name].memory
		}
		if request := c.Resources.Requests[s.name()]; took > request.Value() {
			fmt.Fprintf(&b, "Container %s was using %s, request is %s, has larger consumption of %s. ", c.Name, resource.NewQuantity(took, resource.BinarySI), request.String(), s.resource)
		}
	}
	return b.String()
}
