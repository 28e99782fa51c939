package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
)

func (e *env) token() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and delete the tokens with which machines join",
		Long: `A machine joins a cluster with a token, which says to the server that the machine may, and to the machine which server is the
right one. It is needed once: a node that has joined has certificates of its own. Tokens are Secrets of kube-system in upstream's form.`,
		Example: `  minato token create                     for a day; prints the token, and how to join with it
  minato token create --ttl 1h --description "rack 7"
  minato token list
  minato token delete abcdef`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(e.tokenCreate(), e.tokenList(), e.tokenDelete())
	return c
}

// tokens reaches the cluster from its own network namespace.
func (e *env) tokens() (*cluster.Tokens, error) {
	data, err := filepath.Abs(e.data)
	if err != nil {
		return nil, err
	}
	if err := cluster.EnterNetns(data); err != nil {
		return nil, err
	}
	return cluster.OpenTokens(data)
}

func (e *env) tokenCreate() *cobra.Command {
	var life time.Duration
	description := ""
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print it",
		Example: `  minato token create
  minato token create --ttl 0             one that never ends`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if life < 0 {
				return exitError{2, fmt.Errorf("--ttl %s: must be a time to come, for example 24h, or 0 for a token without end", life)}
			}
			t, err := e.tokens()
			if err != nil {
				return err
			}
			token, server, err := t.Create(c.Context(), life, description)
			if err != nil {
				return err
			}
			fmt.Fprintln(e.out, token)
			fmt.Fprintf(e.err, "A machine joins with:\n  minato up --detach --join %s --token %s\n", server, token)
			return nil
		},
	}
	e.dataDir(c)
	c.Flags().DurationVar(&life, "ttl", 24*time.Hour, "how long machines can join with it; 0: for ever")
	c.Flags().StringVar(&description, "description", "", "what it is for")
	return c
}

func (e *env) tokenList() *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens, without their secrets",
		Example: "  minato token list\n  minato token list -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := e.tokens()
			if err != nil {
				return err
			}
			list, err := t.List(c.Context())
			if err != nil {
				return err
			}
			return e.printTokens(list, output)
		},
	}
	e.dataDir(c)
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

func (e *env) printTokens(list []cluster.Token, output string) error {
	switch strings.ToLower(output) {
	case "json":
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	case "":
	default:
		return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tENDS\tDESCRIPTION")
	for _, k := range list {
		ends := "never"
		if k.Expires != nil {
			ends = k.Expires.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", k.ID, ends, k.Description)
	}
	return w.Flush()
}

func (e *env) tokenDelete() *cobra.Command {
	c := &cobra.Command{
		Use:     "delete ID...",
		Short:   "Delete tokens; nodes that have joined with them stay",
		Example: "  minato token delete abcdef",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, ids []string) error {
			t, err := e.tokens()
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := t.Delete(c.Context(), id); err != nil {
					return err
				}
			}
			return nil
		},
	}
	e.dataDir(c)
	return c
}
