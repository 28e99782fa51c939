package cli

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
)

func (e *env) down() *cobra.Command {
	purge := false
	c := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and clean up the machine",
		Long: `Stop the cluster with its containers and take everything that it made outside of the data directory off the machine:
processes, mounts, cgroups, network namespaces, links, nftables tables, files, and its context in ~/.kube/config.
What was asked of the cluster stays in the data directory; the next ` + "`minato up`" + ` runs it again.`,
		Example: `  minato down             stop, keep the data
  minato down --purge     stop and forget everything`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := filepath.Abs(e.data)
			if err != nil {
				return err
			}
			if err := cluster.EnterNetns(data); err != nil {
				return err
			}
			id, _ := cluster.ReadIdentity(data) // where there is none, Down says so
			log := slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
			found, err := cluster.Down(c.Context(), cluster.Config{DataDir: e.data, Version: e.version, Log: log}, purge,
				func(what string) { fmt.Fprintln(e.out, " ", what) })
			if err != nil {
				return err
			}
			switch {
			case !found:
				fmt.Fprintf(e.out, "No cluster was ever started in %s.\n", e.data)
			case id.Agent():
				fmt.Fprintf(e.out, "The node is down. `kubectl delete node %s` takes it out of the cluster at %s.\n", id.NodeName, id.Server)
			case purge:
				fmt.Fprintf(e.out, "The cluster and its data are gone.\n")
			default:
				fmt.Fprintf(e.out, "The cluster is down; its data stays in %s. `minato up` starts it again.\n", e.data)
			}
			return nil
		},
	}
	e.dataDir(c)
	c.Flags().BoolVar(&purge, "purge", false, "remove the data directory too")
	return c
}
