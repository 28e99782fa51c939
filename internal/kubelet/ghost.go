package kubelet

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// A ghost is a pod of which something is on the node and nothing in the API. It gets a worker as every pod, which ends
// and forgets it. Ghosts are found at the start, and later by the runtime's events: something that was given up while it
// was being made may come up when its worker has seen nothing and ended.
func ghost(id seen.Identity) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: id.UID, Namespace: id.Namespace, Name: id.Name}}
}

// hear hands an event to its pod's worker; of something new it makes a ghost where there is none.
func (k *Kubelet) hear(e *runtimeapi.ContainerEventResponse) {
	if l := e.GetPodSandboxStatus().GetLabels(); len(l) > 0 && l[seen.PodUID] == "" {
		return // a container of somebody else, of `minato run` for one
	}
	m := e.GetPodSandboxStatus().GetMetadata()
	k.mu.Lock()
	w := k.workers[types.UID(m.GetUid())]
	if w != nil {
		w.note(func() { w.news = append(w.news, e) }) // under both locks, so that dismiss does not miss it
	}
	k.mu.Unlock()
	if w == nil && comesUp(e) && k.settled.Load() {
		k.haunt(seen.Identity{UID: types.UID(m.GetUid()), Namespace: m.GetNamespace(), Name: m.GetName()})
	}
}

// haunt makes a ghost where there is no worker.
func (k *Kubelet) haunt(id seen.Identity) {
	k.haunting.Lock()
	defer k.haunting.Unlock()
	if k.worker(id.UID) == nil {
		k.add(ghost(id), true, true)
	}
}

// comesUp says that the event tells of something that was not there before.
func comesUp(e *runtimeapi.ContainerEventResponse) bool {
	return e.ContainerEventType == runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT ||
		e.ContainerEventType == runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT
}

// dismiss takes a worker that has ended out. What it was told too late of something that comes up, its object being gone,
// makes a ghost.
func (k *Kubelet) dismiss(w *worker) {
	k.mu.Lock()
	if k.workers[w.uid] == w {
		delete(k.workers, w.uid)
	}
	w.mu.Lock()
	var late []*runtimeapi.ContainerEventResponse
	if w.gone {
		late = w.news
	}
	w.mu.Unlock()
	k.mu.Unlock()
	for _, e := range late {
		k.hear(e)
	}
}
