package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func (e *env) diff() *cobra.Command {
	c := &cobra.Command{
		Use: "diff CONTAINER", Short: "List what a container of `minato run` has changed of its image's files", Args: exactly(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(nil),
		Long:              "List the files that the container has added (A), changed (C) and deleted (D). Volumes are not part of it.",
		Example:           "  minato diff web",
		RunE: func(c *cobra.Command, args []string) error {
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				upper, _, lower, err := n.Engine.Layers(c.Context(), x)
				if err != nil {
					return err
				}
				changes, err := container.Changes(c.Context(), upper, lower)
				for _, d := range changes {
					fmt.Fprintln(e.out, d.Kind, d.Path)
				}
				return err
			})
		},
	}
	e.dataDir(c)
	return c
}
