package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
)

func (e *env) kubectl() *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl [--data-dir DIR] [kubectl arguments]",
		Short: "Run the official kubectl as the administrator of the cluster",
		Example: `  minato kubectl get pods -A
  minato kubectl --data-dir /srv/two get nodes`,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			data, rest := takeDataDir(args)
			program, err := findKubectl()
			if err != nil {
				return err
			}
			config := cluster.Paths{Data: data}.AdminKubeconfig()
			if _, err := os.Stat(config); err != nil && !clusterless(rest) {
				if id, err := cluster.ReadIdentity(data); err == nil && id.Agent() {
					return fmt.Errorf("%s is a node of the cluster at %s and has no administrator: run kubectl there, or with a kubeconfig from there", data, id.Server)
				}
				return fmt.Errorf("no cluster in %s; start one with `minato up`", data)
			}
			environ := append(os.Environ(), "KUBECONFIG="+config)
			return syscall.Exec(program, append([]string{"kubectl"}, rest...), environ)
		},
	}
}

// takeDataDir takes --data-dir out of the first arguments; everything else is kubectl's.
func takeDataDir(args []string) (string, []string) {
	if len(args) > 1 && args[0] == "--data-dir" {
		return args[1], args[2:]
	}
	if len(args) > 0 {
		if v, ok := strings.CutPrefix(args[0], "--data-dir="); ok {
			return v, args[1:]
		}
	}
	return defaultDataDir(), args
}

// findKubectl prefers the kubectl that was built beside this program.
func findKubectl() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "kubectl")
		if st, err := os.Stat(beside); err == nil && st.Mode()&0o111 != 0 {
			return beside, nil
		}
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", fmt.Errorf("no kubectl beside this program or on PATH; `make build` builds one")
	}
	return path, nil
}

// clusterless reports whether kubectl needs no cluster for these arguments: a user may ask for help before there is one.
func clusterless(args []string) bool {
	if len(args) == 0 {
		return true
	}
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "-h" || a == "--help" || a == "--client" {
			return true
		}
	}
	return args[0] == "help" || args[0] == "completion" || args[0] == "options" || args[0] == "kustomize"
}
