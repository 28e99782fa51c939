package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
)

func (e *env) keys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and remove the keys of service account tokens",
		Long: `Pods show the API server tokens that one key signs. Another can take its place while the cluster runs: what the keys before it have
signed holds until they are removed. Keys of other clusters, as kube-apiserver's --service-account-key-file takes them, are believed
when their files lie in pki/sa-keys of the data directory as the cluster starts.`,
		Example: `  minato keys list
  minato keys rotate                      a new key signs; all tokens hold
  minato keys remove ID                   the tokens that this key signed end`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(e.keysList(), e.keysRotate(), e.keysRemove())
	return c
}

func (e *env) keysList() *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use: "list", Short: "List the keys, that which signs first", Example: "  minato keys list\n  minato keys list -o json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			data, err := filepath.Abs(e.data)
			if err != nil {
				return err
			}
			all, err := cluster.TokenKeys(data)
			if err != nil {
				return err
			}
			switch output {
			case "json":
				enc := json.NewEncoder(e.out)
				enc.SetIndent("", "  ")
				return enc.Encode(all)
			case "":
			default:
				return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
			}
			w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tKIND\tSINCE\tUSE")
			for _, k := range all {
				use := "believed"
				if k.Signs {
					use = "signs"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Kind, k.Since.Local().Format(time.DateTime), use)
			}
			return w.Flush()
		},
	}
	e.dataDir(c)
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

func (e *env) keysRotate() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate", Short: "Have a new key sign from now on", Example: "  minato keys rotate", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := filepath.Abs(e.data)
			if err != nil {
				return err
			}
			if err := cluster.RotateTokenKey(c.Context(), data); err != nil {
				return err
			}
			all, err := cluster.TokenKeys(data)
			if err != nil {
				return err
			}
			fmt.Fprintln(e.out, all[0].ID)
			return nil
		},
	}
	e.dataDir(c)
	return c
}

func (e *env) keysRemove() *cobra.Command {
	c := &cobra.Command{
		Use: "remove ID", Short: "Believe a key no more: the tokens that it signed end", Args: exactly(1, "the key's ID"),
		Example: "  minato keys remove 3zLk0eWhFJ6Y2jCzv7V0w0p8hTnJx4mSg0wqH2bLr5o\n  minato keys remove -- -fGk...           one that begins with a dash",
		RunE: func(c *cobra.Command, args []string) error {
			data, err := filepath.Abs(e.data)
			if err != nil {
				return err
			}
			return cluster.RemoveTokenKey(c.Context(), data, args[0])
		},
	}
	e.dataDir(c)
	return c
}
