package steps

import (
	"context"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/seen"
)

var runtimeClasses = client.Kind[*nodev1.RuntimeClass]{GroupVersion: nodev1.SchemeGroupVersion, Kind: "RuntimeClass", Resource: "runtimeclasses"}

// Sandbox runs a new sandbox for the pod.
func (n *Node) Sandbox(ctx context.Context, pod *corev1.Pod, attempt int32) error {
	err := n.sandbox(ctx, pod, attempt)
	if err != nil && ctx.Err() == nil {
		n.event(pod, "", corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %s", cri.Message(err))
	}
	return err
}

func (n *Node) sandbox(ctx context.Context, pod *corev1.Pod, attempt int32) error {
	cfg, err := n.SandboxConfig(pod, attempt)
	if err != nil {
		return err
	}
	handler, err := n.handler(ctx, pod)
	if err != nil {
		return err
	}
	if err := n.checkUsers(pod, handler); err != nil {
		return err
	}
	if attempt > 0 {
		n.event(pod, "", corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
	}
	_, err = n.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: cfg, RuntimeHandler: handler})
	return err
}

func (n *Node) handler(ctx context.Context, pod *corev1.Pod) (string, error) {
	name := pod.Spec.RuntimeClassName
	if name == nil || *name == "" {
		return "", nil
	}
	rc, err := client.Of(n.Client, runtimeClasses).Get(ctx, "", *name)
	if err != nil {
		return "", fmt.Errorf("failed to look up RuntimeClass %q: %w", *name, err)
	}
	return rc.Handler, nil
}

// SandboxConfig is the pod's sandbox as CRI describes it.
func (n *Node) SandboxConfig(pod *corev1.Pod, attempt int32) (*runtimeapi.PodSandboxConfig, error) {
	dns, err := n.dns(pod)
	if err != nil {
		return nil, err
	}
	hostname, _ := n.hostname(pod)
	if pod.Spec.HostNetwork {
		hostname = "" // the host's own: the pod has no UTS namespace
	}
	if len(hostname) > maxHostname {
		return nil, fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)", hostname, maxHostname, len(hostname))
	}
	cfg := &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: uint32(attempt)},
		Labels:       seen.PodLabels(pod),
		Annotations:  pod.Annotations,
		Hostname:     hostname,
		DnsConfig:    dns,
		LogDirectory: n.PodLogDir(pod),
		PortMappings: hostPorts(pod),
	}
	cfg.Linux = n.linuxSandbox(pod)
	cfg.Linux.SecurityContext.NamespaceOptions.UsernsOptions, err = n.users(pod)
	return cfg, err
}

func (n *Node) linuxSandbox(pod *corev1.Pod) *runtimeapi.LinuxPodSandboxConfig {
	sc := &runtimeapi.LinuxSandboxSecurityContext{
		NamespaceOptions: namespaces(pod), Privileged: anyPrivileged(pod),
		Seccomp: &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
	}
	cfg := &runtimeapi.LinuxPodSandboxConfig{CgroupParent: n.Cgroups.Path(pod.UID, Class(pod)), SecurityContext: sc,
		Resources: sandboxResources(pod, podLimits(pod)), Overhead: overhead(pod)}
	psc := pod.Spec.SecurityContext
	if psc == nil {
		return cfg
	}
	sc.RunAsUser, sc.RunAsGroup = int64Value(psc.RunAsUser), int64Value(psc.RunAsGroup)
	sc.SupplementalGroups = podGroups(pod)
	sc.SupplementalGroupsPolicy = groupsPolicy(psc)
	sc.SelinuxOptions = selinux(psc.SELinuxOptions)
	if psc.SeccompProfile != nil && !pod.Spec.HostNetwork {
		sc.Seccomp = n.seccomp(psc.SeccompProfile)
	}
	for _, s := range psc.Sysctls {
		if cfg.Sysctls == nil {
			cfg.Sysctls = map[string]string{}
		}
		cfg.Sysctls[s.Name] = s.Value
	}
	return cfg
}

// overhead is what the runtime itself takes, nil where its class says nothing.
func overhead(pod *corev1.Pod) *runtimeapi.LinuxContainerResources {
	if len(pod.Spec.Overhead) == 0 {
		return nil
	}
	cpu := pod.Spec.Overhead.Cpu().MilliValue()
	return &runtimeapi.LinuxContainerResources{CpuShares: sharesOf(cpu), CpuQuota: cgroup.Quota(cpu), CpuPeriod: cgroup.Period, MemoryLimitInBytes: pod.Spec.Overhead.Memory().Value()}
}

// sandboxResources are the pod's limits as CRI has them: without the overhead.
func sandboxResources(pod *corev1.Pod, l cgroup.Limits) *runtimeapi.LinuxContainerResources {
	o := pod.Spec.Overhead
	r := &runtimeapi.LinuxContainerResources{CpuShares: sharesOf(l.MilliCPU - o.Cpu().MilliValue()), CpuPeriod: cgroup.Period}
	if l.Quota > 0 {
		r.CpuQuota = max(l.Quota-cgroup.Quota(o.Cpu().MilliValue()), 1000)
	}
	if l.Memory > 0 {
		r.MemoryLimitInBytes = max(l.Memory-o.Memory().Value(), 1)
	}
	return r
}

// hostPorts lists the ports that the node answers for the pod.
func hostPorts(pod *corev1.Pod) []*runtimeapi.PortMapping {
	if pod.Spec.HostNetwork {
		return nil
	}
	var out []*runtimeapi.PortMapping
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			for _, p := range list[i].Ports {
				if p.HostPort > 0 {
					out = append(out, &runtimeapi.PortMapping{Protocol: protocols[p.Protocol], ContainerPort: p.ContainerPort, HostPort: p.HostPort, HostIp: p.HostIP})
				}
			}
		}
	}
	return out
}

var protocols = map[corev1.Protocol]runtimeapi.Protocol{
	"": runtimeapi.Protocol_TCP, corev1.ProtocolTCP: runtimeapi.Protocol_TCP, corev1.ProtocolUDP: runtimeapi.Protocol_UDP, corev1.ProtocolSCTP: runtimeapi.Protocol_SCTP,
}

func namespaces(pod *corev1.Pod) *runtimeapi.NamespaceOption {
	o := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	if pod.Spec.HostNetwork {
		o.Network = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostIPC {
		o.Ipc = runtimeapi.NamespaceMode_NODE
	}
	switch {
	case pod.Spec.HostPID:
		o.Pid = runtimeapi.NamespaceMode_NODE
	case pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace:
		o.Pid = runtimeapi.NamespaceMode_POD
	}
	return o
}

func anyPrivileged(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if sc := list[i].SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
				return true
			}
		}
	}
	return false
}

// LogFile is the path of one attempt's log.
func (n *Node) LogFile(pod *corev1.Pod, container string, attempt int32) string {
	return filepath.Join(n.PodLogDir(pod), container, fmt.Sprintf("%d.log", attempt))
}
