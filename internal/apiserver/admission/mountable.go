package admission

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// mirrorRefersToNothing: a kubelet must not get at secrets by writing a mirror pod that refers to them.
func mirrorRefersToNothing(a *Attributes, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return a.forbid("a mirror pod may not reference service accounts")
	}
	if !podutil.VisitPodSecretNames(pod, func(string) bool { return false }) {
		return a.forbid("a mirror pod may not reference secrets")
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				return a.forbid("a mirror pod may not use ServiceAccountToken volume projections")
			}
		}
	}
	return nil
}

// onlyMountable holds a pod, or only its ephemeral containers, to the secrets that its account lists.
func onlyMountable(sa *corev1.ServiceAccount, pod *corev1.Pod, ephemeralOnly bool) error {
	mountable := map[string]bool{}
	for _, s := range sa.Secrets {
		mountable[s.Name] = true
	}
	for i := range pod.Spec.EphemeralContainers {
		c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		if err := containerMountable(sa, mountable, "ephemeral container", &c); err != nil {
			return err
		}
	}
	if ephemeralOnly {
		return nil
	}
	for _, v := range pod.Spec.Volumes {
		if v.Secret != nil && !mountable[v.Secret.SecretName] {
			return fmt.Errorf(`volume with secret.secretName="%s" is not allowed because service account %s does not reference that secret`, v.Secret.SecretName, sa.Name)
		}
	}
	for _, set := range []struct {
		what string
		cs   []corev1.Container
	}{{"init container", pod.Spec.InitContainers}, {"container", pod.Spec.Containers}} {
		for i := range set.cs {
			if err := containerMountable(sa, mountable, set.what, &set.cs[i]); err != nil {
				return err
			}
		}
	}
	return pullable(sa, pod)
}

func containerMountable(sa *corev1.ServiceAccount, mountable map[string]bool, what string, c *corev1.Container) error {
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !mountable[e.ValueFrom.SecretKeyRef.Name] {
			return fmt.Errorf(`%s %s with envVar %s referencing secret.secretName="%s" is not allowed because service account %s does not reference that secret`,
				what, c.Name, e.Name, e.ValueFrom.SecretKeyRef.Name, sa.Name)
		}
	}
	for _, e := range c.EnvFrom {
		if e.SecretRef != nil && !mountable[e.SecretRef.Name] {
			return fmt.Errorf(`%s %s with envFrom referencing secret.secretName="%s" is not allowed because service account %s does not reference that secret`,
				what, c.Name, e.SecretRef.Name, sa.Name)
		}
	}
	return nil
}

func pullable(sa *corev1.ServiceAccount, pod *corev1.Pod) error {
	allowed := map[string]bool{}
	for _, s := range sa.ImagePullSecrets {
		allowed[s.Name] = true
	}
	for i, s := range pod.Spec.ImagePullSecrets {
		if !allowed[s.Name] {
			return fmt.Errorf(`imagePullSecrets[%d].name="%s" is not allowed because service account %s does not reference that imagePullSecret`, i, s.Name, sa.Name)
		}
	}
	return nil
}
