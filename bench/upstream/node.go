package upstream

import (
	"archive/tar"
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

// StartNode starts controllers, scheduler, containerd, kubelet and kube-proxy and imports the image.
func (c *Cluster) StartNode(ctx context.Context, n NodeConfig) error {
	if _, err := os.Stat(filepath.Join(n.CNI, "bridge")); err != nil {
		return fmt.Errorf("CNI plugins: %w; install Debian's containernetworking-plugins or name their folder with -cni", err)
	}
	for _, start := range []func(context.Context) error{c.minds, func(ctx context.Context) error { return c.containerd(ctx, n.CNI) }} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	for image, program := range map[string]string{pauseImage: filepath.Join(c.bin, "pause"), n.Image: n.Program} {
		if err := c.importImage(ctx, image, program); err != nil {
			return err
		}
	}
	return c.kubelet(ctx)
}

// kubeconfig writes one for a program and returns its path.
func (c *Cluster) kubeconfig(name string, user *pki.Pair) (string, error) {
	path := filepath.Join(c.Dir, name+".kubeconfig")
	return path, pki.Kubeconfig{Context: name, Server: c.URL(), CAPEM: c.pki.CA.CertPEM, Client: user}.WriteFile(path)
}

// minds starts controller manager and scheduler, with limits on their requests that do not show in the figures.
func (c *Cluster) minds(ctx context.Context) error {
	kcm, err := c.kubeconfig("kcm", c.pki.ControllerManager)
	if err != nil {
		return err
	}
	err = c.start(ctx, "kube-controller-manager", "--kubeconfig", kcm, "--service-account-private-key-file="+c.pki.ServiceAccountKeyFile,
		"--root-ca-file="+c.pki.CA.CertFile, "--use-service-account-credentials=true", "--leader-elect=false", "--bind-address=127.0.0.1",
		"--secure-port=0", "--cluster-cidr=10.98.0.0/16", "--allocate-node-cidrs=true", "--kube-api-qps=5000", "--kube-api-burst=5000",
		"--authentication-skip-lookup")
	if err != nil {
		return err
	}
	sched, err := c.kubeconfig("scheduler", c.pki.Scheduler)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-scheduler", "--kubeconfig", sched, "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",
		"--kube-api-qps=5000", "--kube-api-burst=5000")
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
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["%[2]s"]
conf_dir = "%[1]s/cni"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "%[3]s"
`

func (c *Cluster) containerd(ctx context.Context, cni string) error {
	if err := os.MkdirAll(filepath.Join(c.Dir, "cni"), 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"cni/10-bench.conflist": fmt.Sprintf(conflist, filepath.Join(c.Dir, "ipam")),
		"containerd.toml":       fmt.Sprintf(containerdConfig, c.Dir, cni, pauseImage),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := c.start(ctx, "containerd", "--config", filepath.Join(c.Dir, "containerd.toml")); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := c.ctr(ctx, "version")
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (c *Cluster) ctr(ctx context.Context, arg ...string) error {
	cmd := c.Net.Command(ctx, append([]string{filepath.Join(c.bin, "ctr"), "-a", c.socket(), "-n", "k8s.io"}, arg...)...)
	return measure.Output(cmd)
}

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
	if err := archive(tar.NewWriter(f), name, binary); err != nil {
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
address: 127.0.0.1
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
containerRuntimeEndpoint: unix://%[1]s/containerd.sock
podLogsDir: %[1]s/podlogs
evictionHard: {}
`

func (c *Cluster) kubelet(ctx context.Context) error {
	conf := filepath.Join(c.Dir, "kubelet.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, kubeletConfig, c.Dir, c.pki.CA.CertFile, c.Cgroup.Path), 0o644); err != nil {
		return err
	}
	for _, arg := range [][]string{{"sysctl", "-qw", "net.ipv4.ip_forward=1"}, {"ip", "link", "add", "node0", "type", "bridge"},
		{"ip", "addr", "add", nodeIP + "/24", "dev", "node0"}, {"ip", "link", "set", "node0", "up"}} {
		if err := measure.Output(c.Net.Command(ctx, arg...)); err != nil {
			return err
		}
	}
	node, err := c.kubeconfig("node", c.pki.Node)
	if err != nil {
		return err
	}
	err = c.start(ctx, "kubelet", "--config", conf, "--kubeconfig", node, "--hostname-override", NodeName, "--root-dir", filepath.Join(c.Dir, "kubelet"),
		"--cert-dir", filepath.Join(c.Dir, "kubelet-pki"), "--node-ip", nodeIP)
	if err != nil {
		return err
	}
	proxy, err := c.kubeconfig("proxy", c.pki.Proxy)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-proxy", "--kubeconfig", proxy, "--hostname-override", NodeName, "--proxy-mode", "nftables", "--cluster-cidr", "10.98.0.0/16",
		"--bind-address", "127.0.0.1", "--healthz-bind-address", "127.0.0.1:11256", "--metrics-bind-address", "127.0.0.1:11249",
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
}

// NodeWords is the end of the logs that say why a node does not come up.
func (c *Cluster) NodeWords() string {
	return c.lastWords("kubelet") + "\n" + c.lastWords("containerd")
}

// unmount takes away what is mounted below dir, the newest first.
func unmount(dir string) error {
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
