package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/cluster"
)

// report is what `minato status -o json` prints.
type report struct {
	Running    bool   `json:"running"`
	Pid        int    `json:"pid,omitempty"`
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	Node       string `json:"node"`
	PodCIDR    string `json:"podCIDR"`
	Services   string `json:"serviceCIDR"`
	DNS        string `json:"dns"`
	DataDir    string `json:"dataDir"`
	Agent      bool   `json:"agent,omitempty"` // a node whose control plane is elsewhere, at Server
	Log        string `json:"log"`
}

func (e *env) status() *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:     "status",
		Short:   "Say whether the cluster runs and how to reach it",
		Example: "  minato status\n  minato status -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			id, err := cluster.ReadIdentity(e.data)
			if errors.Is(err, fs.ErrNotExist) {
				return exitError{3, fmt.Errorf("no cluster in %s; start one with `minato up`", e.data)}
			}
			if err != nil {
				return err
			}
			pid, err := cluster.Running(e.data)
			if err != nil {
				return err
			}
			paths := cluster.Paths{Data: e.data}
			r := report{Running: pid != 0, Pid: pid, Server: fmt.Sprintf("https://127.0.0.1:%d", id.Port), Kubeconfig: paths.AdminKubeconfig(),
				Context: id.Context, Node: id.NodeName, PodCIDR: id.PodCIDR.String(), Services: id.ServiceCIDR.String(),
				DNS: id.DNSIP().String(), DataDir: e.data, Log: paths.Log()}
			if id.Agent() {
				r.Agent, r.Server, r.Kubeconfig, r.PodCIDR = true, id.Server, "", id.Share.String()
			}
			if err := e.printStatus(r, output); err != nil {
				return err
			}
			if !r.Running {
				return exitError{code: 3}
			}
			return nil
		},
	}
	e.dataDir(c)
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

// readOnly tries the file system of dir with a file that has no name: one that an error has stopped is still mounted for
// writing. A cluster that lost its disk cannot even write that to its log.
func readOnly(dir string) bool {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err == nil {
		_ = unix.Close(fd)
	}
	return errors.Is(err, unix.EROFS)
}

func (e *env) printStatus(r report, output string) error {
	switch strings.ToLower(output) {
	case "json":
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case "":
	default:
		return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
	}
	state := "stopped; `minato up` starts it"
	switch {
	case r.Running:
		state = fmt.Sprintf("running (process %d)", r.Pid)
	case readOnly(r.DataDir):
		state = fmt.Sprintf("stopped; the disk under it is read-only, as disks become by an error: `%s`, mend it, then `minato up`", downCommand(r.DataDir))
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	what := "cluster"
	if r.Agent {
		what = "agent"
	}
	for _, row := range [][2]string{{what, state}, {"API", r.Server}, {"kubeconfig", r.Kubeconfig}, {"context", r.Context}, {"node", r.Node},
		{"pods", r.PodCIDR}, {"Services", r.Services}, {"DNS", r.DNS}, {"data", r.DataDir}, {"log", r.Log}} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	return w.Flush()
}
