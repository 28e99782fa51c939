package kubelet

import (
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// handlersOf is what the runtime says of the ways in which it can run pods.
func handlersOf(st *runtimeapi.StatusResponse) []corev1.NodeRuntimeHandler {
	var out []corev1.NodeRuntimeHandler
	for _, h := range st.RuntimeHandlers {
		f := &corev1.NodeRuntimeHandlerFeatures{}
		if have := h.Features; have != nil {
			f.RecursiveReadOnlyMounts, f.UserNamespaces = &have.RecursiveReadOnlyMounts, &have.UserNamespaces
		}
		out = append(out, corev1.NodeRuntimeHandler{Name: h.Name, Features: f})
	}
	return out
}

// features are those of the handler that the pod's sandbox runs with, nil where the runtime says nothing of it.
func (k *Kubelet) features(pod *corev1.Pod) *corev1.NodeRuntimeHandlerFeatures {
	name := ""
	if w := k.worker(pod.UID); w != nil {
		w.mu.Lock()
		if box := w.shownSeen.Sandbox(); box != nil {
			name = box.Handler
		}
		w.mu.Unlock()
	}
	return k.featuresOf(name)
}

func (k *Kubelet) featuresOf(handler string) *corev1.NodeRuntimeHandlerFeatures {
	list := k.handlers.Load()
	if list == nil {
		return nil
	}
	for i := range *list {
		if (*list)[i].Name == handler {
			return (*list)[i].Features
		}
	}
	return nil
}

func (k *Kubelet) userNamespaces(handler string) bool {
	f := k.featuresOf(handler)
	return f != nil && f.UserNamespaces != nil && *f.UserNamespaces
}

func (k *Kubelet) recursiveReadOnly(pod *corev1.Pod) bool {
	f := k.features(pod)
	return f != nil && f.RecursiveReadOnlyMounts != nil && *f.RecursiveReadOnlyMounts
}
