package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A pod is a sandbox with one container.
type pod struct {
	id, container    string
	sandbox, running time.Duration // since the first call
}

func (s *side) podConfig() *api.PodSandboxConfig {
	n := s.n.Add(1)
	name := fmt.Sprintf("pod-%d", n)
	return &api.PodSandboxConfig{
		Metadata: &api.PodSandboxMetadata{Name: name, Namespace: "default", Uid: fmt.Sprintf("uid-%d", n)}, Hostname: name,
		LogDirectory: filepath.Join(s.Logs, name), DnsConfig: &api.DNSConfig{Servers: []string{"10.97.0.10"}, Searches: []string{"svc.cluster.local"}},
		Linux: &api.LinuxPodSandboxConfig{CgroupParent: s.Group.Path + "/" + name, SecurityContext: &api.LinuxSandboxSecurityContext{
			NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER}, Seccomp: &api.SecurityProfile{ProfileType: api.SecurityProfile_RuntimeDefault}}},
	}
}

func containerConfig() *api.ContainerConfig {
	return &api.ContainerConfig{
		Metadata: &api.ContainerMetadata{Name: "c"}, Image: &api.ImageSpec{Image: imageName}, Command: []string{"sleep", "100000"}, LogPath: "c.log",
		Linux: &api.LinuxContainerConfig{
			Resources: &api.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 102, MemoryLimitInBytes: 128 << 20},
			SecurityContext: &api.LinuxContainerSecurityContext{NamespaceOptions: &api.NamespaceOption{Pid: api.NamespaceMode_CONTAINER},
				Seccomp:     &api.SecurityProfile{ProfileType: api.SecurityProfile_RuntimeDefault},
				MaskedPaths: []string{"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}, ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}},
	}
}

// start makes a pod whose container runs.
func (s *side) start(ctx context.Context) (p pod, err error) {
	config := s.podConfig()
	if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
		return p, err
	}
	began := time.Now()
	sandbox, err := s.CRI.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Config: config})
	if err != nil {
		return p, fmt.Errorf("%s: %w", s.Name, err)
	}
	p.id, p.sandbox = sandbox.PodSandboxId, time.Since(began)
	c, err := s.CRI.CreateContainer(ctx, &api.CreateContainerRequest{PodSandboxId: p.id, SandboxConfig: config, Config: containerConfig()})
	if err != nil {
		return p, fmt.Errorf("%s: %w", s.Name, err)
	}
	p.container = c.ContainerId
	if _, err = s.CRI.StartContainer(ctx, &api.StartContainerRequest{ContainerId: p.container}); err != nil {
		return p, fmt.Errorf("%s: %w", s.Name, err)
	}
	p.running = time.Since(began)
	return p, nil
}

// remove stops and removes container and sandbox, as a kubelet does.
func (s *side) remove(ctx context.Context, p pod) error {
	for _, do := range []func() error{
		func() error {
			_, err := s.CRI.StopContainer(ctx, &api.StopContainerRequest{ContainerId: p.container})
			return err
		},
		func() error {
			_, err := s.CRI.StopPodSandbox(ctx, &api.StopPodSandboxRequest{PodSandboxId: p.id})
			return err
		},
		func() error {
			_, err := s.CRI.RemoveContainer(ctx, &api.RemoveContainerRequest{ContainerId: p.container})
			return err
		},
		func() error {
			_, err := s.CRI.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{PodSandboxId: p.id})
			return err
		},
	} {
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (s *side) exec(ctx context.Context, p pod, cmd ...string) error {
	r, err := s.CRI.ExecSync(ctx, &api.ExecSyncRequest{ContainerId: p.container, Cmd: cmd, Timeout: 20})
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("%v ended with %d: %s", cmd, r.ExitCode, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// eachProcess calls f for every process of a cgroup and those below it.
func eachProcess(cgroup string, f func(pid int, command string)) error {
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cpuacct"); err == nil {
		root += "/cpuacct"
	}
	return filepath.WalkDir(filepath.Join(root, cgroup), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, field := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			command, err := os.ReadFile("/proc/" + field + "/cmdline")
			if err == nil {
				f(pid, string(command))
			}
		}
		return nil
	})
}
