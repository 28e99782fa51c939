package admission

import (
	"context"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	defaultAccount    = "default"
	tokenVolumePrefix = "kube-api-access-"
	tokenMountPath    = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenSeconds      = 60*60 + 7 // the hour after which the API server may call a token stale, and a margin
	rootCAConfigMap   = "kube-root-ca.crt"
	enforceMountable  = "kubernetes.io/enforce-mountable-secrets"
	// How long to wait for an account: the default one is made by a controller right after its namespace.
	accountWait, defaultAccountWait = 50 * time.Millisecond, 2 * time.Second
)

// serviceAccount gives each pod an account, and the account's token, authority and namespace as a projected volume.
var serviceAccount = plugin{
	name: "ServiceAccount",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return gr == pods && (op == Create && sub == "" || op == Update && sub == "ephemeralcontainers")
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, ok := object[*corev1.Pod](a)
		if !ok || a.Operation != Create || isMirror(pod) {
			return nil
		}
		if pod.Spec.ServiceAccountName == "" {
			pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = defaultAccount, defaultAccount
		}
		sa, err := accountOf(ctx, c, a, pod)
		if err != nil {
			return err
		}
		if automounts(sa, pod) {
			mountToken(pod, c.Suffix)
		}
		if len(pod.Spec.ImagePullSecrets) == 0 {
			pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, sa.ImagePullSecrets...)
		}
		return nil
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		pod, ok := object[*corev1.Pod](a)
		if !ok {
			return nil
		}
		if isMirror(pod) {
			return mirrorRefersToNothing(a, pod)
		}
		if pod.Spec.ServiceAccountName == "" {
			return a.forbid("no service account specified for pod %s/%s", a.Namespace, pod.Name)
		}
		sa, err := accountOf(ctx, c, a, pod)
		if err != nil {
			return err
		}
		if enforce, _ := strconv.ParseBool(sa.Annotations[enforceMountable]); !enforce {
			return nil
		}
		if err := onlyMountable(sa, pod, a.Subresource != ""); err != nil {
			return a.forbidden(err)
		}
		return nil
	},
}

func isMirror(p *corev1.Pod) bool {
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	return mirror
}

func accountOf(ctx context.Context, c *Config, a *Attributes, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	wait, name := accountWait, pod.Spec.ServiceAccountName
	if name == defaultAccount {
		wait = defaultAccountWait
	}
	sa, err := await[*corev1.ServiceAccount](ctx, c.Objects, serviceAccounts, a.Namespace, name, wait)
	if apierrors.IsNotFound(err) {
		err = apierrors.NewNotFound(corev1.Resource("serviceaccount"), name)
	}
	if err != nil {
		return nil, a.forbid("error looking up service account %s/%s: %w", a.Namespace, name, err)
	}
	return sa, nil
}

// automounts: the pod's wish goes before the account's; without either the token is mounted.
func automounts(sa *corev1.ServiceAccount, pod *corev1.Pod) bool {
	for _, wish := range []*bool{pod.Spec.AutomountServiceAccountToken, sa.AutomountServiceAccountToken} {
		if wish != nil {
			return *wish
		}
	}
	return true
}

// mountToken mounts the token volume in each container that has nothing at its path, and adds the volume if any needs it.
func mountToken(pod *corev1.Pod, suffix func(int) string) {
	name, there := "", false
	for _, v := range pod.Spec.Volumes {
		if strings.HasPrefix(v.Name, tokenVolumePrefix) {
			name, there = v.Name, true
			break
		}
	}
	if name == "" {
		name = tokenVolumePrefix + suffix(5)
	}
	needed := false
	for _, cs := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range cs {
			if mountsAt(&cs[i], tokenMountPath) {
				continue
			}
			cs[i].VolumeMounts = append(cs[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMountPath})
			needed = true
		}
	}
	if needed && !there {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: tokenVolume()}})
	}
}

func mountsAt(c *corev1.Container, path string) bool {
	for _, m := range c.VolumeMounts {
		if m.MountPath == path {
			return true
		}
	}
	return false
}

// tokenVolume has its defaults filled: it is added after defaulting.
func tokenVolume() *corev1.ProjectedVolumeSource {
	seconds, mode := int64(tokenSeconds), corev1.ProjectedVolumeSourceDefaultMode
	return &corev1.ProjectedVolumeSource{DefaultMode: &mode, Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: rootCAConfigMap},
			Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
	}}
}
