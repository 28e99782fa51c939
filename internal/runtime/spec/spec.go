// Package spec turns what a CRI client asks of a container into an OCI runtime specification: one file for each aspect.
//
// The runtime calls Build when it makes a container. Build reads the container's mounted root (for users) and the
// host's devices and mounts, and changes nothing but missing host directories of bind mounts. It is safe for concurrent
// use. Tests give it a root in a temporary directory and look at the specification.
package spec

import (
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// Input is everything that a container's specification is made of.
type Input struct {
	Container  *cri.ContainerConfig
	Sandbox    *cri.PodSandboxConfig
	Image      v1.ImageConfig
	Rootfs     string                 // where the container's root is mounted
	Cgroup     string                 // its cgroup, below every hierarchy's root
	Namespaces []specs.LinuxNamespace // which ones it joins or gets
	Files      []specs.Mount          // the pod's own: /etc/hosts, /etc/hostname, /etc/resolv.conf, /dev/shm
	Volumes    map[int]string         // image volumes, mounted: index in Container.Mounts to directory
	Hostname   string
	Node       Node
}

// build carries the specification from aspect to aspect.
type build struct {
	Input
	spec specs.Spec
	user ledger.User
	sec  *cri.LinuxContainerSecurityContext // never nil
	res  *cri.LinuxContainerResources       // never nil
}

// aspects in their order: later ones read what earlier ones decided.
var aspects = []struct {
	name string
	add  func(*build) error
}{
	{"process", (*build).process},
	{"environment", (*build).environment},
	{"user", (*build).identity},
	{"namespaces", (*build).namespaces},
	{"mounts", (*build).mounts},
	{"devices", (*build).devices},
	{"capabilities", (*build).capabilities},
	{"paths", (*build).paths},
	{"resources", (*build).resources},
	{"CDI devices", (*build).cdiDevices},
	{"seccomp", (*build).seccomp},
	{"labels", (*build).labels},
}

// Build returns the specification and who its process runs as. An error names the aspect and what is wrong in the
// client's words; it is always the client's or the node's, never a passing one.
func Build(in Input) (*specs.Spec, ledger.User, error) {
	b := &build{Input: in, sec: in.Container.GetLinux().GetSecurityContext(), res: in.Container.GetLinux().GetResources()}
	if b.sec == nil {
		b.sec = &cri.LinuxContainerSecurityContext{}
	}
	if b.res == nil {
		b.res = &cri.LinuxContainerResources{}
	}
	b.spec = specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: in.Rootfs, Readonly: b.sec.GetReadonlyRootfs()},
		Process: &specs.Process{},
		Linux:   &specs.Linux{CgroupsPath: in.Cgroup},
	}
	for _, a := range aspects {
		if err := a.add(b); err != nil {
			return nil, ledger.User{}, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return &b.spec, b.user, nil
}

func (b *build) namespaces() error {
	b.spec.Linux.Namespaces = b.Namespaces
	return nil
}

// privileged containers see the node as it is.
func (b *build) privileged() bool { return b.sec.GetPrivileged() }
