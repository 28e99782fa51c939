package steps

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/env"
)

// Volumes makes the pod's log directory, its cgroup with these limits, and its volumes, and writes FailedMount for those
// that fail. The log directory comes first and goes last: by it a later start finds what is left of the pod.
func (n *Node) Volumes(ctx context.Context, pod *corev1.Pod, limits cgroup.Limits) error {
	if err := os.MkdirAll(n.PodLogDir(pod), 0o755); err != nil {
		return err
	}
	if err := n.Cgroups.Set(pod.UID, Class(pod), limits); err != nil {
		n.event(pod, "", corev1.EventTypeWarning, "FailedCreatePodContainer", "unable to ensure pod container exists: %v", err)
		return err
	}
	err := n.Mounter.Setup(ctx, pod)
	for _, e := range each(err) {
		if ctx.Err() == nil {
			n.event(pod, "", corev1.EventTypeWarning, "FailedMount", "%v", e)
		}
	}
	return err
}

// each splits joined errors.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// Class is the pod's quality of service.
func Class(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	return qos.GetPodQOS(pod)
}

// Downward evaluates an item of a downward API volume.
func (n *Node) Downward(pod *corev1.Pod, item *corev1.DownwardAPIVolumeFile) (string, error) {
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	switch {
	case item.FieldRef != nil:
		return env.Field(pod, item.FieldRef.FieldPath, n.source(ips))
	case item.ResourceFieldRef != nil:
		return env.Resource(pod, nil, item.ResourceFieldRef, n.Allocatable)
	}
	return "", fmt.Errorf("downward API item %q names no source", item.Path)
}
