package kubelet

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// du is measured in the node's rounds and takes at most a twentieth of the time. A node without such limits measures
// nothing.
const measurePart = 20

// evictOverfull ends pods that have filled a volume, a container or themselves beyond their limit of local storage.
func (k *Kubelet) evictOverfull(ctx context.Context) {
	began := time.Now()
	if began.Before(k.self.measure) {
		return
	}
	for _, w := range k.all() {
		w.mu.Lock()
		pod, p, ending := w.next, w.shownSeen, w.evict != nil || w.gone
		w.mu.Unlock()
		if ending || !anyLive(p) || !limited(pod) {
			continue
		}
		if why := k.overfull(ctx, pod, p); why != "" {
			k.evict(w, why)
		}
	}
	k.self.measure = began.Add(measurePart * time.Since(began))
}

// limited says that the pod has a limit that has to be measured. Volumes in memory limit themselves.
func limited(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if overDisk(&pod.Spec.Volumes[i]) && pod.Spec.Volumes[i].EmptyDir.SizeLimit != nil {
			return true
		}
	}
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	_, ok := limits[corev1.ResourceEphemeralStorage]
	return ok
}

func overDisk(v *corev1.Volume) bool {
	return v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumDefault
}

// overfull says which limit the pod is beyond: of a volume, of the pod, of a container.
func (k *Kubelet) overfull(ctx context.Context, pod *corev1.Pod, p seen.Pod) string {
	total := int64(0)
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if !overDisk(v) && v.ConfigMap == nil {
			continue
		}
		used := diskUse(k.mounter.Path(pod, v))
		total += used
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil && v.EmptyDir.SizeLimit.Value() > 0 && used > v.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", v.Name, v.EmptyDir.SizeLimit.String())
		}
	}
	over := ""
	for _, s := range p.Live() {
		used := diskUse(filepath.Join(k.node.PodLogDir(pod), s.Name)) + k.layerUse(ctx, s.ID)
		total += used
		if limit, ok := storageLimit(pod, s.Name); ok && used > limit.Value() && over == "" {
			over = fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q. ", s.Name, limit.String())
		}
	}
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	if limit, ok := limits[corev1.ResourceEphemeralStorage]; ok && total > limit.Value() {
		return fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", limit.String())
	}
	return over
}

// layerUse is what the container has written to its own file system; nothing where the runtime cannot tell.
func (k *Kubelet) layerUse(ctx context.Context, id string) int64 {
	st, err := k.cfg.CRI.ContainerStats(ctx, &runtimeapi.ContainerStatsRequest{ContainerId: id})
	if err != nil {
		k.cfg.Log.Debug("the size of a container's layer is not known", "container", id, "err", err)
	}
	return int64(st.GetStats().GetWritableLayer().GetUsedBytes().GetValue())
}
