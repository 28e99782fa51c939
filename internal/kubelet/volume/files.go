package volume

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// file is one file of a volume that shows objects.
type file struct {
	data  []byte
	mode  int32
	owner *int64 // nil: root
}

// payload maps slash-separated relative paths to files.
type payload map[string]file

// files writes the volume's payload, on a tmpfs where it holds secrets.
func (m *Mounter) files(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) error {
	data, err := m.payload(ctx, pod, v)
	if err != nil {
		return err
	}
	dir := m.Path(pod, v)
	if v.ConfigMap != nil {
		err = makeDir(dir)
	} else {
		err = mountTmpfs(dir, "mode=0755")
	}
	if err != nil {
		return err
	}
	return writeAtomic(dir, data, group(pod), m.now())
}

func (m *Mounter) payload(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (payload, error) {
	p := payload{}
	switch {
	case v.ConfigMap != nil:
		s := v.ConfigMap
		return p, m.fromConfigMap(ctx, pod, p, s.Name, s.Items, mode(s.DefaultMode), s.Optional)
	case v.Secret != nil:
		s := v.Secret
		return p, m.fromSecret(ctx, pod, p, s.SecretName, s.Items, mode(s.DefaultMode), s.Optional)
	case v.DownwardAPI != nil:
		return p, m.fromDownward(pod, p, v.DownwardAPI.Items, mode(v.DownwardAPI.DefaultMode))
	}
	var errs []error
	for i := range v.Projected.Sources {
		errs = append(errs, m.fromProjected(ctx, pod, v, i, p))
	}
	return p, errors.Join(errs...)
}

func mode(m *int32) int32 {
	if m == nil {
		return 0o644
	}
	return *m
}

func (m *Mounter) fromProjected(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, i int, p payload) error {
	s, perm := &v.Projected.Sources[i], mode(v.Projected.DefaultMode)
	switch {
	case s.ConfigMap != nil:
		return m.fromConfigMap(ctx, pod, p, s.ConfigMap.Name, s.ConfigMap.Items, perm, s.ConfigMap.Optional)
	case s.Secret != nil:
		return m.fromSecret(ctx, pod, p, s.Secret.Name, s.Secret.Items, perm, s.Secret.Optional)
	case s.DownwardAPI != nil:
		return m.fromDownward(pod, p, s.DownwardAPI.Items, perm)
	case s.ServiceAccountToken != nil:
		return m.fromToken(ctx, pod, v.Name, i, p, s.ServiceAccountToken, perm)
	case s.ClusterTrustBundle != nil:
		return m.fromTrustBundle(ctx, pod, p, s.ClusterTrustBundle, perm)
	case s.PodCertificate != nil:
		return m.fromPodCertificate(ctx, pod, v.Name, i, p, s.PodCertificate, perm)
	}
	return fmt.Errorf("source %d of the projected volume names nothing that is known", i)
}

func (m *Mounter) fromConfigMap(ctx context.Context, pod *corev1.Pod, p payload, name string, items []corev1.KeyToPath, perm int32, optional *bool) error {
	cm, err := m.objects.ConfigMap(ctx, pod.Namespace, name)
	if apierrors.IsNotFound(err) && yes(optional) {
		return nil
	}
	if err != nil {
		return asked(err)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return p.add(data, items, perm, yes(optional), "configmap")
}

func (m *Mounter) fromSecret(ctx context.Context, pod *corev1.Pod, p payload, name string, items []corev1.KeyToPath, perm int32, optional *bool) error {
	s, err := m.objects.Secret(ctx, pod.Namespace, name)
	if apierrors.IsNotFound(err) && yes(optional) {
		return nil
	}
	if err != nil {
		return asked(err)
	}
	return p.add(s.Data, items, perm, yes(optional), "secret")
}

// add takes all keys as file names, or where items are given just those under their paths.
func (p payload) add(data map[string][]byte, items []corev1.KeyToPath, perm int32, optional bool, what string) error {
	if len(items) == 0 {
		for k, v := range data {
			p[k] = file{data: v, mode: perm}
		}
		return nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional {
				continue
			}
			return fmt.Errorf("%s references non-existent %s key: %s", "volume", what, it.Key)
		}
		if err := checkPath(it.Path); err != nil {
			return err
		}
		f := file{data: v, mode: perm}
		if it.Mode != nil {
			f.mode = *it.Mode
		}
		p[path.Clean(it.Path)] = f
	}
	return nil
}

func (m *Mounter) fromDownward(pod *corev1.Pod, p payload, items []corev1.DownwardAPIVolumeFile, perm int32) error {
	for i := range items {
		it := &items[i]
		if err := checkPath(it.Path); err != nil {
			return err
		}
		v, err := m.downward(pod, it)
		if err != nil {
			return err
		}
		f := file{data: []byte(v), mode: perm}
		if it.Mode != nil {
			f.mode = *it.Mode
		}
		p[path.Clean(it.Path)] = f
	}
	return nil
}

// checkPath refuses paths that leave the volume or collide with the writer's own names.
func checkPath(p string) error {
	clean := path.Clean(p)
	if p == "" || path.IsAbs(p) || clean == "." || clean == ".." || strings.HasPrefix(clean, "..") {
		return fmt.Errorf("invalid path %q: must be relative, inside the volume and not start with '..'", p)
	}
	return nil
}

func yes(b *bool) bool { return b != nil && *b }
