package runtime

import (
	"context"
	"net/netip"
	"os"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
)

// sandboxSteps are what a pod sandbox has, in the order in which it is made.
var sandboxSteps = []step[ledger.Sandbox]{
	{name: "pod cgroup", do: (*Server).makePodCgroup, undo: (*Server).dropPodCgroup},
	{name: "pod files", do: (*Server).writePodFiles, undo: (*Server).dropPodFiles},
	{name: "namespaces", do: (*Server).pinNamespaces, undo: (*Server).dropNamespaces, early: true},
	{name: "shared memory", do: (*Server).mountShm, undo: (*Server).dropShm, early: true},
	{name: "pod network", do: (*Server).attachNetwork, undo: (*Server).detachNetwork, early: true},
	{name: "interface sysctls", do: (*Server).setInterfaceSysctls},
	{name: "pod init", do: (*Server).startInit, undo: (*Server).stopInit, early: true},
}

// modes are the pod's namespace choices; what a client leaves out is POD.
func modes(c *api.PodSandboxConfig) *api.NamespaceOption {
	if o := c.GetLinux().GetSecurityContext().GetNamespaceOptions(); o != nil {
		return o
	}
	return &api.NamespaceOption{}
}

func hostNetwork(c *api.PodSandboxConfig) bool {
	return modes(c).GetNetwork() == api.NamespaceMode_NODE
}

func noNetwork(c *api.PodSandboxConfig) bool { return c.GetAnnotations()[NoNetwork] != "" }

func hostIPC(c *api.PodSandboxConfig) bool { return modes(c).GetIpc() == api.NamespaceMode_NODE }

// wantedNamespaces returns what is pinned. The host name goes with the network, as Kubernetes has it.
func wantedNamespaces(c *api.PodSandboxConfig) pin.Namespaces {
	n := pin.Namespaces{Net: !hostNetwork(c), UTS: !hostNetwork(c), IPC: !hostIPC(c), Hostname: c.GetHostname(), Sysctls: map[string]string{},
		User: usersOf(c)}
	if n.Net {
		// Ports below 1024 and ping need no privilege inside a pod, whose ports are its own.
		n.Sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
		n.Sysctls["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for k, v := range c.GetLinux().GetSysctls() {
		n.Sysctls[k] = v
	}
	return n
}

// makePodCgroup makes what is missing. A cgroup that was there before any of our sandboxes is the kubelet's, with the
// kubelet's limits: it is neither set nor removed here.
func (s *Server) makePodCgroup(_ context.Context, p *ledger.Sandbox) error {
	path := p.Config.GetLinux().GetCgroupParent()
	if path == "" {
		return nil
	}
	if _, err := s.cgroups.Make(path); err != nil || !p.OwnsPod {
		return err
	}
	return s.cgroups.Set(path, podLimits(p.Config.GetLinux()))
}

// ownsPodCgroup reports whether an earlier sandbox of the same pod made the cgroup; the last of them removes it.
func (s *Server) ownsPodCgroup(path string) bool {
	for _, other := range s.sandboxes.All() {
		if other.OwnsPod && other.Config.GetLinux().GetCgroupParent() == path {
			return true
		}
	}
	return false
}

func (s *Server) dropPodCgroup(ctx context.Context, p *ledger.Sandbox) error {
	path := p.Config.GetLinux().GetCgroupParent()
	if path == "" || !p.OwnsPod {
		return nil
	}
	for _, other := range s.sandboxes.All() {
		if other.ID != p.ID && other.Config.GetLinux().GetCgroupParent() == path {
			return nil
		}
	}
	return s.cgroups.Remove(ctx, path)
}

// podLimits adds the overhead to the sum of the containers.
func podLimits(l *api.LinuxPodSandboxConfig) cgroup.Limits {
	r, o := l.GetResources(), l.GetOverhead()
	lim := cgroup.Limits{CPUPeriod: uint64(r.GetCpuPeriod()), CPUs: r.GetCpusetCpus(), Mems: r.GetCpusetMems(), Unified: r.GetUnified()}
	lim.CPUShares = uint64(r.GetCpuShares() + o.GetCpuShares())
	lim.CPUQuota = plus(r.GetCpuQuota(), o.GetCpuQuota())
	lim.Memory = plus(r.GetMemoryLimitInBytes(), o.GetMemoryLimitInBytes())
	for _, h := range r.GetHugepageLimits() {
		if lim.HugepageSize == nil {
			lim.HugepageSize = map[string]uint64{}
		}
		lim.HugepageSize[h.GetPageSize()] = h.GetLimit()
	}
	return lim
}

// plus adds an overhead to a limit; no limit stays none.
func plus(limit, overhead int64) int64 {
	if limit <= 0 {
		return limit
	}
	return limit + overhead
}

func (s *Server) pinNamespaces(ctx context.Context, p *ledger.Sandbox) error {
	n := wantedNamespaces(p.Config.PodSandboxConfig)
	if !n.Net && !n.IPC && !n.UTS && n.User == nil {
		return nil
	}
	return n.Make(ctx, s.cfg.pinDir(p.ID))
}

func (s *Server) dropNamespaces(_ context.Context, p *ledger.Sandbox) error {
	return pin.Drop(s.cfg.pinDir(p.ID))
}

func (s *Server) mountShm(_ context.Context, p *ledger.Sandbox) error {
	if hostIPC(p.Config.PodSandboxConfig) {
		return nil
	}
	return pin.Shm(s.cfg.shmDir(p.ID), usersOf(p.Config.PodSandboxConfig))
}

func (s *Server) dropShm(_ context.Context, p *ledger.Sandbox) error {
	return pin.Unmount(s.cfg.shmDir(p.ID))
}

func (s *Server) attachNetwork(ctx context.Context, p *ledger.Sandbox) error {
	c := p.Config.PodSandboxConfig
	if hostNetwork(c) {
		return nil
	}
	if err := s.net.open(ctx, s.cfg.Network); err != nil {
		return err
	}
	if noNetwork(c) {
		return s.cfg.Network.Loopback(s.cfg.netns(p.ID))
	}
	ports, err := hostPorts(c.GetPortMappings())
	if err != nil {
		return err
	}
	r, err := s.cfg.Network.Attach(ctx, network.Request{ID: p.ID, Netns: s.cfg.netns(p.ID), HostPorts: ports})
	if err != nil {
		return err
	}
	p.IPs = nil
	for _, ip := range r.IPs {
		p.IPs = append(p.IPs, ip.String())
	}
	return nil
}

func (s *Server) detachNetwork(ctx context.Context, p *ledger.Sandbox) error {
	if c := p.Config.PodSandboxConfig; hostNetwork(c) || noNetwork(c) {
		return nil
	}
	return s.cfg.Network.Detach(ctx, p.ID)
}

// hostPorts leaves out the mappings that open nothing.
func hostPorts(in []*api.PortMapping) ([]network.PortMapping, error) {
	var out []network.PortMapping
	for _, m := range in {
		if m.GetHostPort() == 0 {
			continue
		}
		if m.GetHostPort() < 0 || m.GetHostPort() > 65535 || m.GetContainerPort() < 1 || m.GetContainerPort() > 65535 {
			return nil, invalid("port mapping %d to %d: ports are 1 to 65535", m.GetHostPort(), m.GetContainerPort())
		}
		pm := network.PortMapping{Protocol: m.GetProtocol().String(), HostPort: uint16(m.GetHostPort()), ContainerPort: uint16(m.GetContainerPort())}
		if ip := m.GetHostIp(); ip != "" {
			addr, err := netip.ParseAddr(ip)
			if err != nil {
				return nil, invalid("port mapping: host_ip %q is not an address", ip)
			}
			pm.HostIP = addr
		}
		out = append(out, pm)
	}
	return out, nil
}

func (s *Server) setInterfaceSysctls(ctx context.Context, p *ledger.Sandbox) error {
	return wantedNamespaces(p.Config.PodSandboxConfig).AfterLinks(ctx, s.cfg.pinDir(p.ID))
}

func (s *Server) dropPodFiles(_ context.Context, p *ledger.Sandbox) error {
	return os.RemoveAll(s.cfg.sandboxDir(p.ID))
}
