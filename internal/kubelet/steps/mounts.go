package steps

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/distribution/reference"
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
	var err error
	m := &runtimeapi.Mount{ContainerPath: vm.MountPath, Readonly: vm.ReadOnly}
	if !filepath.IsAbs(m.ContainerPath) {
		m.ContainerPath = filepath.Join("/", m.ContainerPath)
	}
	if vm.MountPropagation != nil {
		m.Propagation = propagation[*vm.MountPropagation]
	}
	m.RecursiveReadOnly, err = n.recursive(pod, vm)
	if err != nil {
		return nil, err
	}
	sub, err := subPath(vm, vars)
	if err != nil {
		return nil, err
	}
	if v.Image != nil {
		m.ImageSubPath, m.Readonly = sub, true
		m.Image, err = n.imageVolume(v.Image.Reference)
		return m, err
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

// recursive says whether the mounts below the volume are read-only too, as is asked for or as the runtime can.
func (n *Node) recursive(pod *corev1.Pod, vm *corev1.VolumeMount) (bool, error) {
	if vm.RecursiveReadOnly == nil || !vm.ReadOnly {
		return false, nil
	}
	can := n.RecursiveReadOnly(pod)
	if *vm.RecursiveReadOnly == corev1.RecursiveReadOnlyEnabled && !can {
		return false, errors.New("volume is read-only but not recursively: the container runtime's handler does not support recursive read-only mounts")
	}
	return can && *vm.RecursiveReadOnly != corev1.RecursiveReadOnlyDisabled, nil
}

// imageVolume is the image of a volume by the name that the runtime knows.
func (n *Node) imageVolume(name string) (*runtimeapi.ImageSpec, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("couldn't parse image name %q: %w", name, err)
	}
	return &runtimeapi.ImageSpec{Image: tagged(name, named), UserSpecifiedImage: name}, nil
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
