package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"minato.dev/minato/internal/runtime"
)

// DefaultDataDir is where a cluster lives unless it is told otherwise.
const DefaultDataDir = "/var/lib/minato"

// DefaultRegistries is where mirrors of registries are named.
const DefaultRegistries = "/etc/minato/registries"

// DefaultRegistriesFile is where k3s users write the same things.
const DefaultRegistriesFile = "/etc/minato/registries.yaml"

// Config is what a user can say about a cluster. It is valid once Complete has returned no error.
type Config struct {
	DataDir        string
	Port           int    // of the API server
	BindAddress    string // that the API server and the kubelet listen on
	NodeName       string
	NodeIP         string // address that the node is known by; empty: found out
	PodCIDR        string // pods of the whole cluster; empty: chosen at the first start
	ServiceCIDR    string // ClusterIPs; empty: chosen at the first start
	Registries     string // directory of <registry host>/hosts.toml: mirrors of registries, as containerd reads them
	RegistriesFile string // mirrors, trust and logins of registries in the form of k3s's registries.yaml
	// CredentialConfig and CredentialDir are the kubelet's credential providers: a CredentialProviderConfig and where the
	// programs are that it names; empty: none.
	CredentialConfig, CredentialDir string
	// RuntimeHandlers are other OCI runtimes by the names that RuntimeClasses give them: "name=/path,name=/path". crun and
	// runc are found without it.
	RuntimeHandlers string
	// Kubelet is the absolute path of a program, upstream's kubelet, that runs in place of ours; empty: ours.
	Kubelet string
	// Join is the API server of the cluster to join as an agent, and Token what `minato token create` printed there; empty: a
	// cluster of its own, or the agent that this data directory already is.
	Join, Token string
	NodeGrace   time.Duration // how long a node may be silent before its pods are taken for lost; 0: upstream's 50 s
	Context     string        // name in ~/.kube/config; empty: "minato", or with the cluster's id beside the first
	Version     string
	Log         *slog.Logger
}

// Complete fills in defaults and checks everything that can be checked without touching the machine.
func (c Config) Complete() (Config, error) {
	if c.DataDir == "" {
		c.DataDir = DefaultDataDir
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, fmt.Errorf("data directory %q: %w", c.DataDir, err)
	}
	c.DataDir = dir
	if c.Port == 0 {
		c.Port = 6443
	}
	if c.BindAddress == "" {
		c.BindAddress = "0.0.0.0"
	}
	if c.Registries == "" {
		c.Registries = DefaultRegistries
	}
	if c.RegistriesFile == "" {
		c.RegistriesFile = DefaultRegistriesFile
	}
	for flag, path := range map[string]*string{"--registries-dir": &c.Registries, "--registries-file": &c.RegistriesFile,
		"--image-credential-provider-config": &c.CredentialConfig, "--image-credential-provider-bin-dir": &c.CredentialDir} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return c, fmt.Errorf("%s %q: %w", flag, *path, err)
		}
	}
	if id, err := ReadIdentity(c.DataDir); c.NodeName == "" && err == nil && !id.Provisional {
		c.NodeName = id.NodeName
	}
	if c.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("host name: %w; give one with --node-name", err)
		}
		c.NodeName = strings.ToLower(host)
	}
	if c.Join, err = serverURL(c.Join); err != nil {
		return c, err
	}
	return c, c.check()
}

// leastGrace is two of a node's signs of life.
const leastGrace = 20 * time.Second

// serverURL checks what --join says and adds the usual port where there is none.
func serverURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("--join %q: must be the server's address as `minato token create` prints it, for example https://10.0.0.1:6443", s)
	}
	port := u.Port()
	if port == "" {
		port = "6443"
	}
	return "https://" + net.JoinHostPort(u.Hostname(), port), nil
}

func (c Config) check() error {
	var errs []error
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port %d: must be between 1 and 65535", c.Port))
	}
	if msgs := validation.IsDNS1123Subdomain(c.NodeName); len(msgs) > 0 {
		errs = append(errs, fmt.Errorf("--node-name %q: %s", c.NodeName, strings.Join(msgs, "; ")))
	}
	if _, err := netip.ParseAddr(c.BindAddress); err != nil {
		errs = append(errs, fmt.Errorf("--bind-address %q: must be an IP address, for example 0.0.0.0 or 127.0.0.1", c.BindAddress))
	}
	if (c.CredentialConfig == "") != (c.CredentialDir == "") {
		errs = append(errs, errors.New("--image-credential-provider-config and --image-credential-provider-bin-dir must be given together"))
	}
	if c.NodeIP != "" {
		if ip, err := netip.ParseAddr(c.NodeIP); err != nil || !ip.Is4() || ip.IsLoopback() || ip.IsUnspecified() {
			errs = append(errs, fmt.Errorf("--node-ip %q: must be an IPv4 address of this machine other than loopback", c.NodeIP))
		}
	}
	if c.NodeGrace != 0 && c.NodeGrace < leastGrace {
		errs = append(errs, fmt.Errorf("--node-monitor-grace-period %s: must be at least %s, because nodes show themselves every 10 s", c.NodeGrace, leastGrace))
	}
	if c.Token != "" && c.Join == "" {
		errs = append(errs, errors.New("--token needs --join with the server's address; `minato token create` prints both"))
	}
	if err := checkKubelet(c.Kubelet); err != nil {
		errs = append(errs, fmt.Errorf("--kubelet %q: %w", c.Kubelet, err))
	} else if c.Kubelet != "" && c.Join != "" {
		errs = append(errs, errors.New("--kubelet: a node that joins runs the built-in one"))
	}
	if _, err := runtime.CheckHandlers(c.RuntimeHandlers); err != nil {
		errs = append(errs, fmt.Errorf("--runtime-handlers: %w", err))
	}
	for flag, v := range map[string]string{"--pod-cidr": c.PodCIDR, "--service-cidr": c.ServiceCIDR} {
		if v == "" {
			continue
		}
		if c.Join != "" {
			errs = append(errs, fmt.Errorf("%s: is the server's to say, not that of a node which joins", flag))
		}
		if p, err := netip.ParsePrefix(v); err != nil || !p.Addr().Is4() || p.Masked() != p || p.Bits() > 24 {
			errs = append(errs, fmt.Errorf("%s %q: must be an IPv4 range of at least 256 addresses, for example 10.244.0.0/16", flag, v))
		}
	}
	return errors.Join(errs...)
}
