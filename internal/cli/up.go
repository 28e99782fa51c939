package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/pki"
)

// upFlags are the flags of `minato up`.
type upFlags struct {
	cfg      cluster.Config
	config   string
	detach   bool
	logLevel string
	merge    bool
	wait     time.Duration
}

func (e *env) up() *cobra.Command {
	f := &upFlags{}
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster on this machine, or join one",
		Long: `Start a one-node cluster and keep it until it is interrupted, or with --detach leave it running in the background.
With --join and --token the machine becomes a further node of a cluster that runs elsewhere; both are needed once, and printed by
` + "`minato token create`" + ` there.
Containers of an earlier run are adopted. Every flag is also a key of the configuration file and a variable
MINATO_<FLAG>; the command line wins over the variable, the variable over the file.`,
		Example: `  minato up                                          in the foreground, until Ctrl-C
  minato up --detach                                 in the background
  minato up --detach --data-dir /srv/two --port 7443   a second cluster beside the first
  minato up --detach --join https://10.0.0.1:6443 --token TOKEN   a further node of another machine's cluster`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := settings(c, f.config, true); err != nil {
				return err
			}
			f.cfg.DataDir, f.cfg.Version = e.data, e.version
			return e.runUp(c.Context(), f)
		},
	}
	e.dataDir(c)
	fl := c.Flags()
	fl.StringVar(&f.config, "config", defaultConfigFile, "YAML file with flags as keys")
	fl.BoolVar(&f.detach, "detach", false, "leave the cluster running in the background")
	fl.IntVar(&f.cfg.Port, "port", 6443, "port of the API server")
	fl.StringVar(&f.cfg.BindAddress, "bind-address", "0.0.0.0", "address that the API server and the kubelet listen on")
	fl.StringVar(&f.cfg.NodeName, "node-name", "", "name of this node (default: the host name)")
	fl.StringVar(&f.cfg.NodeIP, "node-ip", "", "address of this node (default: that of the default route's link)")
	fl.StringVar(&f.cfg.PodCIDR, "pod-cidr", "", "range of pod addresses (default: 10.244.0.0/16, or the next that is free)")
	fl.StringVar(&f.cfg.ServiceCIDR, "service-cidr", "", "range of Service addresses (default: 10.96.0.0/12, or another that is free)")
	fl.DurationVar(&f.cfg.NodeGrace, "node-monitor-grace-period", 50*time.Second, "how long a node may be silent before it counts as lost, with its pods")
	fl.StringVar(&f.cfg.Join, "join", "", "API server of the cluster to join as a further node, https://ADDRESS:PORT")
	fl.StringVar(&f.cfg.Token, "token", "", "what minato token create printed there; better in MINATO_TOKEN, where others do not see it")
	fl.StringVar(&f.cfg.Registries, "registries-dir", cluster.DefaultRegistries, "directory of REGISTRY/hosts.toml files, which name mirrors as containerd's do")
	fl.StringVar(&f.cfg.RegistriesFile, "registries-file", cluster.DefaultRegistriesFile, "mirrors, trust and logins of registries, in the form of k3s's registries.yaml")
	fl.StringVar(&f.cfg.CredentialConfig, "image-credential-provider-config", "", "CredentialProviderConfig of the kubelet's credential providers")
	fl.StringVar(&f.cfg.CredentialDir, "image-credential-provider-bin-dir", "", "directory of the programs that it names")
	fl.StringVar(&f.cfg.RuntimeHandlers, "runtime-handlers", "", "other OCI runtimes for RuntimeClasses, as NAME=/PATH,...; crun and runc are found where they are installed")
	fl.StringVar(&f.cfg.Kubelet, "kubelet", "", "program that runs in place of the built-in kubelet, for example upstream's")
	fl.StringVar(&f.cfg.Context, "context", "", "name of the context in ~/.kube/config (default: minato for the default data directory)")
	fl.BoolVar(&f.merge, "merge-kubeconfig", true, "add the context to ~/.kube/config and make it the current one")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.DurationVar(&f.wait, "wait", 2*time.Minute, "how long to wait for the cluster with --detach")
	return c
}

func (e *env) runUp(ctx context.Context, f *upFlags) error {
	cfg, err := f.cfg.Complete()
	if err != nil {
		return exitError{2, err}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return exitError{2, fmt.Errorf("--log-level %q: must be debug, info, warn or error", f.logLevel)}
	}
	if err := os.Unsetenv(tokenVariable); err != nil { // it is nothing for those whom this process starts
		return err
	}
	if f.detach {
		return e.detach(ctx, cfg, f)
	}
	var report io.Writer
	if pipe := os.Getenv(phasePipe); pipe != "" {
		fd, err := strconv.Atoi(pipe)
		if err != nil {
			return fmt.Errorf("%s=%q: %w", phasePipe, pipe, err)
		}
		report = os.NewFile(uintptr(fd), "phases")
	}
	cfg.Log = slog.New(slog.NewTextHandler(newLastWord(e.err), &slog.HandlerOptions{Level: level}))
	err = cluster.Run(ctx, cfg, func(p cluster.Phase) {
		switch {
		case report != nil:
			writePhase(report, p)
		case p.Ready:
			e.phase(p)
			e.welcome(cfg, f.merge, p.After)
		default:
			e.phase(p)
		}
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// phase prints one step and when it was reached.
func (e *env) phase(p cluster.Phase) {
	fmt.Fprintf(e.out, "  %-18s %6.2f s\n", p.Name, p.After.Seconds())
}

// welcome merges the kubeconfig and says what to type next.
func (e *env) welcome(cfg cluster.Config, merge bool, after time.Duration) {
	id, err := cluster.ReadIdentity(cfg.DataDir)
	if err != nil {
		fmt.Fprintln(e.err, "minato:", err)
		return
	}
	if id.Agent() {
		fmt.Fprintf(e.out, "\nThe node %s is up after %.2f s: it belongs to the cluster at %s, its pods have %s, its data is in %s.\n\nNext, where that cluster runs:\n  minato kubectl get nodes -o wide\n",
			id.NodeName, after.Seconds(), id.Server, id.Share, cfg.DataDir)
		return
	}
	paths := cluster.Paths{Data: cfg.DataDir}
	fmt.Fprintf(e.out, "\nThe cluster is up after %.2f s: API https://127.0.0.1:%d, node %s, pods %s, Services %s, data %s.\n",
		after.Seconds(), id.Port, id.NodeName, id.PodCIDR, id.ServiceCIDR, cfg.DataDir)
	kubectl := "kubectl --kubeconfig " + paths.AdminKubeconfig()
	if merge && ownKubeconfig(pki.UserKubeconfigPath()) {
		fmt.Fprintf(e.out, "The context was not added to %s: that is a cluster's own.\n", pki.UserKubeconfigPath())
	} else if merge {
		if err := mergeKubeconfig(paths, id); err != nil {
			fmt.Fprintln(e.err, "minato: the context was not added to your kubeconfig:", err)
		} else {
			fmt.Fprintf(e.out, "Context %q is the current one in %s.\n", id.Context, pki.UserKubeconfigPath())
			kubectl = "kubectl"
		}
	}
	fmt.Fprintf(e.out, `
Next:
  %[1]s get nodes
  %[1]s run hello --image=minato.local/hello --port=80
  %[1]s expose pod hello && %[1]s port-forward pod/hello 8080:80
`, kubectl)
}

// ownKubeconfig reports whether path is the admin kubeconfig in a cluster's data directory, which shows to that cluster
// and no other, whatever KUBECONFIG says.
func ownKubeconfig(path string) bool {
	paths := cluster.Paths{Data: filepath.Dir(path)}
	if path != paths.AdminKubeconfig() {
		return false
	}
	_, err := cluster.ReadIdentity(paths.Data)
	return err == nil
}

func mergeKubeconfig(paths cluster.Paths, id cluster.Identity) error {
	b, err := pki.EnsureAll(paths.PKI(), pki.Names{Node: id.NodeName, ServiceIP: net.IP(id.ServiceIP().AsSlice())})
	if err != nil {
		return err
	}
	return pki.MergeKubeconfig(pki.UserKubeconfigPath(), pki.Kubeconfig{Context: id.Context,
		Server: fmt.Sprintf("https://127.0.0.1:%d", id.Port), CAPEM: b.CA.CertPEM, Client: b.Admin})
}
