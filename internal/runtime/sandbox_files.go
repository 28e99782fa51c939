package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/spec"
)

// writePodFiles makes the files that all containers of the pod share. A container of a kubelet brings its own
// /etc/hosts; ours is for clients that do not.
func (s *Server) writePodFiles(_ context.Context, p *ledger.Sandbox) error {
	dir, c := s.cfg.sandboxDir(p.ID), p.Config.PodSandboxConfig
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	hostname, err := hostnameOf(c)
	if err != nil {
		return err
	}
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if hostNetwork(c) {
		if hosts, err = readHost("/etc/hosts"); err != nil {
			return err
		}
	}
	resolv := resolvConf(c.GetDnsConfig())
	if c.GetDnsConfig() == nil {
		if resolv, err = readHost("/etc/resolv.conf"); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"hostname": hostname + "\n", "hosts": hosts, "resolv.conf": resolv} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hostnameOf is the pod's own name, or the node's where it has none.
func hostnameOf(c *api.PodSandboxConfig) (string, error) {
	if h := c.GetHostname(); h != "" {
		return h, nil
	}
	return os.Hostname()
}

// readHost copies a file of the node; a node without it has nothing to say.
func readHost(path string) (string, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return "", nil
	}
	return string(data), err
}

// resolvConf writes a resolver configuration as the libraries read it.
func resolvConf(d *api.DNSConfig) string {
	var b strings.Builder
	if len(d.GetSearches()) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(d.GetSearches(), " "))
	}
	for _, s := range d.GetServers() {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(d.GetOptions()) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(d.GetOptions(), " "))
	}
	return b.String()
}

// podFiles are in /etc of each container.
var podFiles = []string{"hosts", "hostname", "resolv.conf"}

// podMounts are the pod's files as every container gets them.
func (s *Server) podMounts(p *ledger.Sandbox, readonly bool) []specs.Mount {
	rw := "rw"
	if readonly {
		rw = "ro"
	}
	var out []specs.Mount
	for _, name := range podFiles {
		m := specs.Mount{Destination: "/etc/" + name, Type: "bind", Source: filepath.Join(s.cfg.sandboxDir(p.ID), name),
			Options: []string{"rbind", "rprivate", rw}}
		if users := userOptions(p.Config.PodSandboxConfig); users != nil {
			m.UIDMappings, m.GIDMappings = spec.IDs(users.GetUids()), spec.IDs(users.GetGids())
			m.Options = append(m.Options, "ridmap")
		}
		out = append(out, m)
	}
	shm := s.cfg.shmDir(p.ID)
	if hostIPC(p.Config.PodSandboxConfig) {
		shm = "/dev/shm"
	}
	return append(out, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: shm, Options: []string{"rbind", "rprivate", "rw"}})
}
