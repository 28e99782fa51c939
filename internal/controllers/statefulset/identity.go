package statefulset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// start is the number of the first pod.
func start(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals != nil {
		return int(set.Spec.Ordinals.Start)
	}
	return 0
}

// ordinal is the number in a pod's name, or -1 where the name is none of the set's.
func ordinal(set *appsv1.StatefulSet, p *corev1.Pod) int {
	rest, ok := strings.CutPrefix(p.Name, set.Name+"-")
	n, err := strconv.ParseInt(rest, 10, 32)
	if !ok || err != nil || strconv.FormatInt(n, 10) != rest {
		return -1
	}
	return int(n)
}

func podName(set *appsv1.StatefulSet, n int) string { return set.Name + "-" + strconv.Itoa(n) }

// claimName is the name of the claim of one template for one pod.
func claimName(set *appsv1.StatefulSet, template string, n int) string {
	return fmt.Sprintf("%s-%s-%d", template, set.Name, n)
}

// newPod is pod n of a revision.
func (s *controller) newPod(set *appsv1.StatefulSet, t *corev1.PodTemplateSpec, revision string, n int) *corev1.Pod {
	p := s.pods.FromTemplate(set, t)
	p.GenerateName, p.Name = "", podName(set, n)
	p.Labels[appsv1.StatefulSetRevisionLabel] = revision
	maps.Copy(p.Labels, identity(set, n))
	p.Spec.Hostname, p.Spec.Subdomain = p.Name, set.Spec.ServiceName
	for _, c := range set.Spec.VolumeClaimTemplates {
		v := corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, c.Name, n)}}}
		p.Spec.Volumes = slices.DeleteFunc(p.Spec.Volumes, func(o corev1.Volume) bool { return o.Name == v.Name })
		p.Spec.Volumes = append(p.Spec.Volumes, v)
	}
	return p
}

// identity is the labels that name pod n.
func identity(set *appsv1.StatefulSet, n int) map[string]string {
	return map[string]string{appsv1.StatefulSetPodNameLabel: podName(set, n), appsv1.PodIndexLabel: strconv.Itoa(n)}
}

// known reports whether a pod carries its identity.
func known(set *appsv1.StatefulSet, p *corev1.Pod) bool {
	for k, v := range identity(set, ordinal(set, p)) {
		if p.Labels[k] != v {
			return false
		}
	}
	return true
}

// mend gives a pod, an adopted one say, its identity.
func (s *controller) mend(ctx context.Context, set *appsv1.StatefulSet, p *corev1.Pod) error {
	id := identity(set, ordinal(set, p))
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"labels":{%q:%q,%q:%q}}}`, p.UID, appsv1.StatefulSetPodNameLabel, id[appsv1.StatefulSetPodNameLabel],
		appsv1.PodIndexLabel, id[appsv1.PodIndexLabel])
	got, err := client.Of(s.c, client.Pods).Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, patch)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("label pod %s: %w", p.Name, err)
	}
	return s.pods.Pods.WaitFor(ctx, got.ResourceVersion)
}
