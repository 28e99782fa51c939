package steps

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/env"
)

// mounts lists the container's volume mounts, its /etc/hosts and its termination log.
func (n *Node) mounts(pod *corev1.Pod, c *corev1.Container, attempt int32, podIPs []string, vars func(string) (string, bool)) ([]*runtimeapi.Mount, error) {
	var out []*runtimeapi.Mount
	taken := map[string]bool{}
	for i := range c.VolumeMounts {
		m, err := n.mount(pod, c, i, vars)
		if err != nil {
			return nil, err
		}
		taken[filepath.Clean(m.ContainerPath)] = true
		out = append(out, m)
	}
	if !taken["/etc/hosts"] && len(podIPs) > 0 {
		path, err := n.hostsFile(pod, podIPs)
		if err != nil {
			return nil, err
		}
		out = append(out, &runtimeapi.Mount{ContainerPath: "/etc/hosts", HostPath: path})
	}
	if c.TerminationMessagePath != "" && !taken[c.TerminationMessagePath] {
		path := n.TerminationFile(pod, c.Name, attempt)
		if err := emptyFile(path); err != nil {
			return nil, err
		}
		out = append(out, &runtimeapi.Mount{ContainerPath: c.TerminationMessagePath, HostPath: path})
	}
	return out, nil
}

// TerminationFile is the host's side of one attempt's termination message.
func (n *Node) TerminationFile(pod *corev1.Pod, container string, attempt int32) string {
	return filepath.Join(n.Mounter.PodDir(pod.UID), "containers", container, fmt.Sprint(attempt))
}

// emptyFile makes a file that any user of the container may write.
func emptyFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}

var propagation = map[corev1.MountPropagationMode]runtimeapi.MountPropagation{
	corev1.MountPropagationBidirectional:   runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL,
	corev1.MountPropagationHostToContainer: runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER,
}

func (n *Node) mount(pod *corev1.Pod, c *corev1.Container, i int, vars func(string) (string, bool)) (*runtimeapi.Mount, error) {
	vm := &c.VolumeMounts[i]
	v := volumeOf(pod, vm.Name)
	if v == nil {
		return nil, fmt.Errorf("cannot find volume %q to mount into container %q", vm.Name, c.Name)
	}
	m := &runtimeapi.Mount{ContainerPath: vm.MountPath, Readonly: vm.ReadOnly}
	if !filepath.IsAbs(m.ContainerPath) {
		m.ContainerPath = filepath.Join("/", m.ContainerPath)
	}
	if vm.MountPropagation != nil {
		m.Propagation = propagation[*vm.MountPropagation]
	}
	if rr := vm.RecursiveReadOnly; rr != nil && *rr == corev1.RecursiveReadOnlyEnabled {
		m.RecursiveReadOnly = true
	}
	sub, err := subPath(vm, vars)
	if err != nil {
		return nil, err
	}
	if v.Image != nil {
		m.Image, m.ImageSubPath, m.Readonly = &runtimeapi.ImageSpec{Image: v.Image.Reference, UserSpecifiedImage: v.Image.Reference}, sub, true
		return m, nil
	}
	if v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil {
		m.Readonly = true
	}
	m.HostPath = n.Mounter.Path(pod, v)
	if sub != "" {
		m.HostPath, err = n.Mounter.SubPath(pod, v.Name, m.HostPath, sub, c.Name, i)
		if err != nil {
			n.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: failed to prepare subPath for volumeMount %q of container %q", vm.Name, c.Name)
			return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", vm.Name, c.Name, err)
		}
	}
	return m, nil
}

// subPath is the mount's path inside the volume, with the container's variables put in where it is an expression.
func subPath(vm *corev1.VolumeMount, vars func(string) (string, bool)) (string, error) {
	if vm.SubPathExpr == "" {
		return vm.SubPath, nil
	}
	missing := ""
	out := env.Expand(vm.SubPathExpr, func(name string) (string, bool) {
		v, ok := vars(name)
		if !ok {
			missing = name
		}
		return v, ok
	})
	if missing != "" {
		return "", fmt.Errorf("missing value for %q", missing)
	}
	return out, nil
}

func volumeOf(pod *corev1.Pod, name string) *corev1.Volume {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Name == name {
			return &pod.Spec.Volumes[i]
		}
	}
	return nil
}
