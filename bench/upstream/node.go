package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/internal/pki"
)

// nodeIP is on a bridge without ports: upstream's kubelet takes no loopback address.
const nodeIP = "10.99.0.1"

const pauseImage = "registry.k8s.io/pause:3.10.2"

// NodeConfig is what a node needs from the machine.
type NodeConfig struct {
	CNI     string // folder with bridge, host-local, portmap and loopback
	Image   string // name of the image that pods will run
	Program string // static program that is the whole image
}

// PrepareNode makes the node's link and configuration and has containerd import the images, which then stops again.
func (c *Cluster) PrepareNode(ctx context.Context, n NodeConfig) error {
	if _, err := os.Stat(filepath.Join(n.CNI, "bridge")); err != nil {
		return fmt.Errorf("CNI plugins: %w; install Debian's containernetworking-plugins or name their folder with -cni", err)
	}
	for _, step := range []func() error{
		func() error { return c.link(ctx) },
		func() error { return c.nodeFiles(n.CNI) },
		c.dnsFiles,
		func() error { return c.startContainerd(ctx) },
		func() error { return c.awaitContainerd(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	for image, program := range map[string]string{pauseImage: filepath.Join(c.bin, "pause"), dnsImage: filepath.Join(c.bin, "coredns"), n.Image: n.Program} {
		if err := c.importImage(ctx, image, program); err != nil {
			return err
		}
	}
	return c.Stop()
}

// PrepareForeignNode is PrepareNode for a runtime of the caller's, which is to listen on the returned socket. Its pods are to
// be below the cluster's cgroup.
func (c *Cluster) PrepareForeignNode(ctx context.Context) (socket string, err error) {
	if err := c.link(ctx); err != nil {
		return "", err
	}
	return c.socket(), c.nodeFiles("")
}

// StartForeignNode starts the control plane and a kubelet on a runtime that listens already.
func (c *Cluster) StartForeignNode(ctx context.Context) error {
	for _, start := range []func(context.Context) error{c.StartEtcd, c.StartAPI, c.kubelet, c.StartScheduler, c.controllerManager} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// AdminConfig writes the administrator's kubeconfig and returns its path.
func (c *Cluster) AdminConfig() (string, error) { return c.kubeconfig("admin", c.pki.Admin) }

// StartNode starts a prepared node with its control plane, each program as soon as what it needs is there: it would only
// wait before that. It returns when all have been started.
func (c *Cluster) StartNode(ctx context.Context) error {
	for _, start := range []func(context.Context) error{c.StartEtcd, c.startContainerd, c.StartAPI, c.kubelet, c.StartScheduler, c.controllerManager, c.proxy, c.dns} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// link makes the interface whose address is the node's.
func (c *Cluster) link(ctx context.Context) error {
	for _, arg := range [][]string{{"sysctl", "-qw", "net.ipv4.ip_forward=1"}, {"ip", "link", "add", "node0", "type", "bridge"},
		{"ip", "addr", "add", nodeIP + "/24", "dev", "node0"}, {"ip", "link", "set", "node0", "up"}, {"ip", "route", "add", serviceCIDR, "dev", "node0"}} {
		if err := measure.Output(c.Net.Command(ctx, arg...)); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig writes one for a program and returns its path.
func (c *Cluster) kubeconfig(name string, user *pki.Pair) (string, error) {
	path := filepath.Join(c.Dir, name+".kubeconfig")
	return path, pki.Kubeconfig{Context: name, Server: c.URL(), CAPEM: c.pki.CA.CertPEM, Client: user}.WriteFile(path)
}

// Programs that talk to the API are not held back by limits of their own.
const qps, burst = "--kube-api-qps=5000", "--kube-api-burst=5000"

func (c *Cluster) controllerManager(ctx context.Context) error {
	conf, err := c.kubeconfig("kcm", c.pki.ControllerManager)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-controller-manager", "--kubeconfig", conf, "--service-account-private-key-file="+c.pki.ServiceAccountKeyFile,
		"--root-ca-file="+c.pki.CA.CertFile, "--use-service-account-credentials=true", "--leader-elect=false", "--bind-address=127.0.0.1",
		"--secure-port=0", "--cluster-cidr=10.98.0.0/16", "--allocate-node-cidrs=true", "--authentication-skip-lookup", qps, burst)
}

// StartScheduler starts kube-scheduler; the API must be ready.
func (c *Cluster) StartScheduler(ctx context.Context) error {
	conf, err := c.kubeconfig("scheduler", c.pki.Scheduler)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-scheduler", "--kubeconfig", conf, "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0", qps, burst)
}

const conflist = `{"cniVersion":"0.4.0","name":"bench","plugins":[{"type":"bridge","bridge":"benchcni0","isGateway":true,"ipMasq":false,
"hairpinMode":true,"ipam":{"type":"host-local","dataDir":"%s","ranges":[[{"subnet":"10.98.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
{"type":"portmap","capabilities":{"portMappings":true}}]}`

const containerdConfig = `version = 3
root = "%[1]s/containerd"
state = "%[1]s/containerd-state"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
address = "%[1]s/containerd.sock"
[ttrpc]
address = "%[1]s/containerd.sock.ttrpc"
[debug]
level = "warn"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["%[2]s"]
conf_dir = "%[1]s/cni"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "%[3]s"
`

// nodeFiles writes the configuration of containerd, its network and the kubelet.
func (c *Cluster) nodeFiles(cni string) error {
	if err := os.MkdirAll(filepath.Join(c.Dir, "cni"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"cni/10-bench.conflist": fmt.Sprintf(conflist, filepath.Join(c.Dir, "ipam")),
		"containerd.toml":       fmt.Sprintf(containerdConfig, c.Dir, cni, pauseImage),
		"kubelet.yaml":          fmt.Sprintf(kubeletConfig, c.Dir, c.pki.CA.CertFile, c.Cgroup.Path, DNS, c.socket()),
	} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startContainerd(ctx context.Context) error {
	return c.start(ctx, "containerd", "--config", filepath.Join(c.Dir, "containerd.toml"))
}

func (c *Cluster) awaitContainerd(ctx context.Context) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := c.ctr(ctx, "version")
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}

func (c *Cluster) ctr(ctx context.Context, arg ...string) error {
	cmd := c.Net.Command(ctx, append([]string{filepath.Join(c.bin, "ctr"), "-a", c.socket(), "-n", "k8s.io"}, arg...)...)
	return measure.Output(cmd)
}

// socket is where the kubelet finds its runtime, and containerd listens.
func (c *Cluster) socket() string { return filepath.Join(c.Dir, "containerd.sock") }

// importImage gives containerd an image that is one static program.
func (c *Cluster) importImage(ctx context.Context, name, program string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Dir, "image")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := archive(f, name, binary); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return c.ctr(ctx, "images", "import", f.Name())
}

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[2]q}}
authorization: {mode: Webhook}
address: 10.99.0.1
port: 11250
readOnlyPort: 0
healthzPort: 0
cgroupDriver: cgroupfs
cgroupRoot: %[3]s
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
maxPods: 200
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 5000
kubeAPIBurst: 10000
serializeImagePulls: false
containerRuntimeEndpoint: unix://%[5]s
podLogsDir: %[1]s/podlogs
volumePluginDir: %[1]s/volumeplugins
clusterDNS: [%[4]s]
clusterDomain: cluster.local
evictionHard: {}
`

func (c *Cluster) kubelet(ctx context.Context) error {
	node, err := c.kubeconfig("node", c.pki.Node)
	if err != nil {
		return err
	}
	return c.start(ctx, "kubelet", "--config", filepath.Join(c.Dir, "kubelet.yaml"), "--kubeconfig", node, "--hostname-override", NodeName,
		"--root-dir", filepath.Join(c.Dir, "kubelet"), "--cert-dir", filepath.Join(c.Dir, "kubelet-pki"), "--node-ip", nodeIP)
}

func (c *Cluster) proxy(ctx context.Context) error {
	conf, err := c.kubeconfig("proxy", c.pki.Proxy)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-proxy", "--kubeconfig", conf, "--hostname-override", NodeName, "--proxy-mode", "nftables", "--cluster-cidr", "10.98.0.0/16",
		"--bind-address", "127.0.0.1", "--healthz-bind-address", "127.0.0.1:11256", "--metrics-bind-address", "127.0.0.1:11249",
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
}

// NodeWords is the end of the logs that say why a node does not come up.
func (c *Cluster) NodeWords() string {
	var words []string
	for _, p := range []string{"kubelet", "containerd", "kube-apiserver", "kube-controller-manager"} {
		words = append(words, c.lastWords(p))
	}
	return strings.Join(words, "\n")
}

// Unmount takes away what is mounted below dir, the newest first.
func Unmount(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	var errs []error
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			if err := unix.Unmount(f[4], unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
				errs = append(errs, fmt.Errorf("unmount %s: %w", f[4], err))
			}
		}
	}
	return errors.Join(errs...)
}
