package seen

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Labels and annotations that every kubelet puts on sandboxes and containers. They carry what must survive a restart.
const (
	PodName       = "io.kubernetes.pod.name"
	PodNamespace  = "io.kubernetes.pod.namespace"
	PodUID        = "io.kubernetes.pod.uid"
	ContainerName = "io.kubernetes.container.name"

	ContainerHash     = "io.kubernetes.container.hash"
	RestartCount      = "io.kubernetes.container.restartCount"
	TerminationPath   = "io.kubernetes.container.terminationMessagePath"
	TerminationPolicy = "io.kubernetes.container.terminationMessagePolicy"
	PreStop           = "io.kubernetes.container.preStopHandler"
	Ports             = "io.kubernetes.container.ports"
	// ContainerResources is ours: what the container was made with, so that a later change shows.
	ContainerResources = "minato.dev/container-resources"

	PodDeletionGracePeriod = "io.kubernetes.pod.deletionGracePeriod"
	PodTerminationGrace    = "io.kubernetes.pod.terminationGracePeriod"
)

// PodLabels are the labels of a pod's sandbox: its own and those that identify it.
func PodLabels(pod *corev1.Pod) map[string]string {
	l := make(map[string]string, len(pod.Labels)+3)
	for k, v := range pod.Labels {
		l[k] = v
	}
	l[PodName], l[PodNamespace], l[PodUID] = pod.Name, pod.Namespace, string(pod.UID)
	return l
}

// ContainerLabels identify one container of a pod.
func ContainerLabels(pod *corev1.Pod, name string) map[string]string {
	return map[string]string{PodName: pod.Name, PodNamespace: pod.Namespace, PodUID: string(pod.UID), ContainerName: name}
}

// ContainerAnnotations carry what is needed to judge and end the container when the Pod object is gone. A nil Ports or
// PreStop leaves its annotation out.
func ContainerAnnotations(pod *corev1.Pod, c *corev1.Container, attempt int32) map[string]string {
	a := map[string]string{
		ContainerHash:     Hash(c),
		RestartCount:      strconv.Itoa(int(attempt)),
		TerminationPath:   c.TerminationMessagePath,
		TerminationPolicy: string(c.TerminationMessagePolicy),
	}
	if raw, err := json.Marshal(c.Resources); err == nil {
		a[ContainerResources] = string(raw)
	}
	if pod.DeletionGracePeriodSeconds != nil {
		a[PodDeletionGracePeriod] = strconv.FormatInt(*pod.DeletionGracePeriodSeconds, 10)
	}
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		a[PodTerminationGrace] = strconv.FormatInt(*pod.Spec.TerminationGracePeriodSeconds, 10)
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
		if raw, err := json.Marshal(c.Lifecycle.PreStop); err == nil {
			a[PreStop] = string(raw)
		}
	}
	if len(c.Ports) > 0 {
		if raw, err := json.Marshal(c.Ports); err == nil {
			a[Ports] = string(raw)
		}
	}
	return a
}

// Hash names the part of a container's spec whose change means a new container: its name and image.
func Hash(c *corev1.Container) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s", c.Name, c.Image)
	return strconv.FormatUint(uint64(h.Sum32()), 16)
}

// Grace is how long a container found without its Pod object may take to end.
func (c Container) Grace() time.Duration {
	for _, key := range []string{PodDeletionGracePeriod, PodTerminationGrace} {
		if n, err := strconv.ParseInt(c.Annotations[key], 10, 64); err == nil {
			return time.Duration(n) * time.Second
		}
	}
	return 30 * time.Second
}

// MadeWith is what the container was made with; ok is false where it does not say.
func (c Container) MadeWith() (r corev1.ResourceRequirements, ok bool) {
	raw, ok := c.Annotations[ContainerResources]
	if !ok || json.Unmarshal([]byte(raw), &r) != nil {
		return corev1.ResourceRequirements{}, false
	}
	return r, true
}
