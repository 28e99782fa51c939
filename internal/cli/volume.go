package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func (e *env) volume() *cobra.Command {
	c := &cobra.Command{Use: "volume", Short: "Manage the volumes of `minato run`", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Long: `Volumes are directories with a name that outlive containers: ` + "`minato run -v NAME:/path`" + ` makes one where there is none, and
fills it with what the image has at that path. They go by ` + "`minato volume rm`, `prune`" + `, and with everything else by ` + "`minato down --purge`.",
		Example: "  minato run -d -v data:/var/lib/data --name db db\n  minato volume ls\n  minato rm -f db && minato volume rm data"}
	for _, verb := range []*cobra.Command{e.volumeCreate(), e.volumeList(), e.volumeInspect(), e.volumeRemove(), e.volumePrune()} {
		e.dataDir(verb)
		c.AddCommand(verb)
	}
	return c
}

// onNode runs f with whoever serves the node.
func (e *env) onNode(ctx context.Context, f func(*cluster.Node) error) error {
	n, err := e.reach(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	return f(n)
}

func (e *env) volumeCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME...", Short: "Make empty volumes; one that is there stays as it is", Args: atLeast(1, "NAME"),
		Example: "  minato volume create data",
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range args { // before anything is started
				if err := container.CheckVolumeName(name); err != nil {
					return exitError{2, err}
				}
			}
			return e.onNode(c.Context(), func(n *cluster.Node) error {
				return e.each(args, func(name string) error {
					if err := n.Engine.Volumes.Create(name); !errors.Is(err, container.ErrVolumeThere) {
						return err
					}
					return nil
				})
			})
		},
	}
}

func (e *env) volumes(ctx context.Context) (list []container.NamedVolume, err error) {
	if e.fresh() {
		return nil, nil
	}
	err = e.onNode(ctx, func(n *cluster.Node) error {
		list, err = n.Engine.ListVolumes(ctx)
		return err
	})
	return list, err
}

func (e *env) volumeList() *cobra.Command {
	quiet, output := false, ""
	c := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List volumes", Args: cobra.NoArgs,
		Example: "  minato volume ls\n  minato volume ls -q\n  minato volume ls -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "" && output != "json" {
				return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
			}
			list, err := e.volumes(c.Context())
			switch {
			case err != nil:
				return err
			case output == "json":
				return e.printJSON(shownVolumes(list))
			}
			return e.volumeTable(list, quiet)
		},
	}
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print names only")
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

func (e *env) volumeTable(list []container.NamedVolume, quiet bool) error {
	w := tabwriter.NewWriter(e.out, 0, 0, 3, ' ', 0)
	if !quiet {
		fmt.Fprintln(w, "NAME\tCREATED\tUSED BY")
	}
	for _, v := range list {
		if quiet {
			fmt.Fprintln(w, v.Name)
			continue
		}
		fmt.Fprintf(w, "%s\t%s ago\t%s\n", v.Name, ago(time.Since(v.Created)), strings.Join(v.UsedBy, ", "))
	}
	return w.Flush()
}

// shownVolume is a volume in docker's words, and who uses it.
type shownVolume struct {
	Name, Driver, Mountpoint, Scope string
	CreatedAt                       time.Time
	Anonymous                       bool
	UsedBy                          []string
}

func shownVolumes(list []container.NamedVolume) []shownVolume {
	out := []shownVolume{}
	for _, v := range list {
		out = append(out, shownVolume{v.Name, "local", v.Path, "local", v.Created, v.Anonymous, append([]string{}, v.UsedBy...)})
	}
	return out
}

func (e *env) volumeInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect NAME...", Short: "Show volumes as JSON", Args: atLeast(1, "NAME"), ValidArgsFunction: e.completeVolumes(),
		Example: "  minato volume inspect data | jq -r '.[0].Mountpoint'",
		RunE: func(c *cobra.Command, args []string) error {
			list, err := e.volumes(c.Context())
			if err != nil {
				return err
			}
			all := shownVolumes(list)
			out, errs := []shownVolume{}, []error{}
			for _, name := range args {
				before := len(out)
				for _, v := range all {
					if v.Name == name {
						out = append(out, v)
					}
				}
				if len(out) == before {
					errs = append(errs, fmt.Errorf("%w: %s", container.ErrNoVolume, name))
				}
			}
			return errors.Join(append([]error{e.printJSON(out)}, errs...)...)
		},
	}
}

func (e *env) volumeRemove() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use: "rm NAME...", Short: "Remove volumes with all that is in them", Args: atLeast(1, "NAME"), ValidArgsFunction: e.completeVolumes(),
		Example: "  minato volume rm data",
		RunE: func(c *cobra.Command, args []string) error {
			return e.each(args, func(name string) error {
				err := error(fmt.Errorf("%w: %s", container.ErrNoVolume, name))
				if !e.fresh() {
					err = e.onNode(c.Context(), func(n *cluster.Node) error { return n.Engine.RemoveVolume(c.Context(), name) })
				}
				if force && errors.Is(err, container.ErrNoVolume) {
					return nil
				}
				return err
			})
		},
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "one that is not there is no error")
	return c
}

func (e *env) volumePrune() *cobra.Command {
	all := false
	c := &cobra.Command{
		Use: "prune", Short: "Remove the volumes that no container uses", Args: cobra.NoArgs,
		Long:    "Remove the volumes without a name that no container uses any more; --all takes those with a name too.",
		Example: "  minato volume prune\n  minato volume prune --all",
		RunE: func(c *cobra.Command, _ []string) error {
			if e.fresh() {
				return nil
			}
			return e.onNode(c.Context(), func(n *cluster.Node) error {
				gone, err := n.Engine.PruneVolumes(c.Context(), all)
				for _, name := range gone {
					fmt.Fprintln(e.out, "removed", name)
				}
				return err
			})
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "also those with a name")
	return c
}
