package steps

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/env"
	"minato.dev/minato/internal/kubelet/seen"
)

// containerConfig is the container as CRI describes it.
func (n *Node) containerConfig(ctx context.Context, pod *corev1.Pod, c *corev1.Container, s Start) (*runtimeapi.ContainerConfig, error) {
	st, err := n.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: s.Image}})
	if err != nil {
		return nil, fail("ImageInspectError", "Failed to inspect image %q: %s", s.Image, cri.Message(err))
	}
	src := n.reader(ctx, pod, s.PodIPs)
	list, err := env.Of(pod, c, src)
	if err != nil {
		return nil, fail("CreateContainerConfigError", "%v", err)
	}
	vars := map[string]string{}
	cfg := &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: uint32(s.Attempt)},
		Image:       &runtimeapi.ImageSpec{Image: s.Image, UserSpecifiedImage: c.Image},
		WorkingDir:  c.WorkingDir,
		Labels:      seen.ContainerLabels(pod, c.Name),
		Annotations: seen.ContainerAnnotations(pod, c, s.Attempt),
		LogPath:     filepath.Join(c.Name, strconv.Itoa(int(s.Attempt))+".log"),
		Stdin:       c.Stdin, StdinOnce: c.StdinOnce, Tty: c.TTY,
	}
	for _, v := range list {
		vars[v.Name] = v.Value
		cfg.Envs = append(cfg.Envs, keyValue(v))
	}
	look := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	cfg.Command, cfg.Args = env.All(c.Command, look), env.All(c.Args, look)
	if cfg.Mounts, err = n.mounts(pod, c, s.Attempt, s.PodIPs, look); err != nil {
		return nil, fail("CreateContainerConfigError", "%v", err)
	}
	sc, err := n.security(pod, c, st.Image)
	if err != nil {
		return nil, err
	}
	if s.Target != "" {
		sc.NamespaceOptions.Pid, sc.NamespaceOptions.TargetId = runtimeapi.NamespaceMode_TARGET, s.Target
	}
	if sc.NamespaceOptions.UsernsOptions, err = n.users(pod); err != nil {
		return nil, fail("CreateContainerConfigError", "%v", err)
	}
	shift(cfg.Mounts, sc.NamespaceOptions.UsernsOptions)
	cfg.Linux = &runtimeapi.LinuxContainerConfig{SecurityContext: sc, Resources: n.resources(pod, c)}
	if l := c.Lifecycle; l != nil && l.StopSignal != nil {
		v, ok := runtimeapi.Signal_value[string(*l.StopSignal)]
		if !ok {
			return nil, fail("CreateContainerConfigError", "unknown stop signal %q", *l.StopSignal)
		}
		cfg.StopSignal = runtimeapi.Signal(v)
	}
	return cfg, os.MkdirAll(filepath.Dir(filepath.Join(n.PodLogDir(pod), cfg.LogPath)), 0o755)
}

// reader is what an environment is evaluated with.
func (n *Node) reader(ctx context.Context, pod *corev1.Pod, podIPs []string) env.Source {
	src := n.source(podIPs)
	src.ConfigMap = func(name string) (*corev1.ConfigMap, error) { return n.Objects.ConfigMap(ctx, pod.Namespace, name) }
	src.Secret = func(name string) (*corev1.Secret, error) { return n.Objects.Secret(ctx, pod.Namespace, name) }
	src.Services = n.Services(pod)
	src.File = func(ref *corev1.FileKeySelector) (string, bool, error) { return n.envFile(pod, ref) }
	return src
}

// envFile reads one key of an env file in an emptyDir of the pod.
func (n *Node) envFile(pod *corev1.Pod, ref *corev1.FileKeySelector) (string, bool, error) {
	v := volumeOf(pod, ref.VolumeName)
	if v == nil {
		return "", false, fmt.Errorf("cannot find volume %q", ref.VolumeName)
	}
	root, err := os.OpenRoot(n.Mounter.Path(pod, v))
	if err != nil {
		return "", false, err
	}
	defer root.Close()
	raw, err := root.ReadFile(ref.Path)
	if os.IsNotExist(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	value, ok, err := env.FileKey(string(raw), ref.Key)
	return value, ok, err
}
