package kubelet

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/credential"
	"minato.dev/minato/internal/failpoint"
)

// CRI is the container runtime and its image store, as the generated CRI v1 clients speak to it. A *cri.Client is one.
type CRI interface {
	runtimeapi.RuntimeServiceClient
	runtimeapi.ImageServiceClient
}

// Config is everything that the kubelet of one node is told. It is checked once, by New.
type Config struct {
	NodeName      string            // the Node object's name
	Hostname      string            // label kubernetes.io/hostname and the address of that type; empty: NodeName
	NodeIPs       []netip.Addr      // InternalIP addresses, the first is the hostIP of pods
	NodeLabels    map[string]string // further labels set when the node registers
	RootDir       string            // pod directories and plugin sockets, "<data>/kubelet"
	LogDir        string            // container logs, "<data>/log/pods"
	ManifestDir   string            // where static pods come from, "<data>/manifests"; empty: there are none
	CRI           CRI
	CgroupRoot    string                  // parent of all pods' cgroups, "/minato-ab12/kubepods"
	ClusterDNS    []netip.Addr            // name servers of pods with dnsPolicy ClusterFirst
	ClusterDomain string                  // "cluster.local"
	ResolvConf    string                  // the host's resolv.conf for dnsPolicy Default; empty: none
	Listen        string                  // "addr:port" of the HTTPS server; empty: no server
	ServingCert   func() *tls.Certificate // asked with each connection, because it is renewed
	ClientCA      *x509.CertPool          // who may come to the HTTPS server
	PodCIDR       string                  // shown in the Node's spec when the cluster assigns none; may be empty
	MaxPods       int                     // 0 means 110
	PodPids       int64                   // processes and threads that one pod may have; 0 means 4096, less than 0 no limit
	// SystemReserved and KubeReserved are kept from pods for the system and for the node's own programs.
	SystemReserved corev1.ResourceList
	KubeReserved   corev1.ResourceList
	// EvictionHard is what must be left of the machine ("memory.available": "100Mi", "nodefs.available": "10%"); nil means
	// upstream's defaults.
	EvictionHard map[string]string
	// Credentials are what to show to registries, after the pull secrets of the pod.
	Credentials []credential.Source
	Version     string // kubeletVersion of the Node, "v1.37.2+minato.1"
	Log         *slog.Logger
	// RuntimeChanged receives when the runtime has something new to say of itself that its events do not tell; nil where
	// nobody tells, and it is asked now and then only.
	RuntimeChanged <-chan struct{}
	// Remember keeps what is known of pods on the disk, for a start while the API server does not answer.
	Remember bool
	// Reach is told of the beginning and end of each operation on a pod; nil outside of tests.
	Reach failpoint.Func
}

// complete checks c and fills in what may be left out.
func (c Config) complete() (Config, error) {
	need := func(what, v string) error {
		if v == "" {
			return fmt.Errorf("kubelet: %s is empty", what)
		}
		return nil
	}
	if err := errors.Join(need("NodeName", c.NodeName), need("RootDir", c.RootDir), need("LogDir", c.LogDir)); err != nil {
		return c, err
	}
	if c.CRI == nil {
		return c, errors.New("kubelet: CRI is nil")
	}
	if len(c.NodeIPs) == 0 {
		return c, errors.New("kubelet: NodeIPs is empty: a node needs at least one address")
	}
	if c.Listen != "" && (c.ServingCert == nil || c.ClientCA == nil) {
		return c, errors.New("kubelet: Listen needs ServingCert and ClientCA")
	}
	if c.Hostname == "" {
		c.Hostname = c.NodeName
	}
	if c.ClusterDomain == "" {
		c.ClusterDomain = "cluster.local"
	}
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/kubepods"
	}
	if c.PodPids == 0 {
		c.PodPids = 4096
	}
	if c.MaxPods == 0 {
		c.MaxPods = 110
	}
	if c.EvictionHard == nil {
		c.EvictionHard = defaultEviction
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
