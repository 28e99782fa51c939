package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func running(c container.Container) bool { return c.Running() }
func stopped(c container.Container) bool { return !c.Running() }

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeContainers offers names of containers, those that fit; nil for all. It starts nobody to learn them.
func (e *env) completeContainers(fit func(container.Container) bool) completion {
	return e.complete(func(c *cobra.Command, n *cluster.Node) (names []string, err error) {
		list, err := n.Engine.List(c.Context())
		for _, x := range list {
			if fit == nil || fit(x) {
				names = append(names, x.Spec.Name)
			}
		}
		return names, err
	})
}

func (e *env) completeVolumes() completion {
	return e.complete(func(c *cobra.Command, n *cluster.Node) (names []string, err error) {
		list, err := n.Engine.ListVolumes(c.Context())
		for _, v := range list {
			names = append(names, v.Name)
		}
		return names, err
	})
}

func (e *env) complete(ask func(*cobra.Command, *cluster.Node) ([]string, error)) completion {
	return func(c *cobra.Command, given []string, begin string) (out []string, _ cobra.ShellCompDirective) {
		n, err := cluster.Reach(c.Context(), e.data)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer n.Close()
		names, err := ask(c, n)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		for _, name := range names {
			if strings.HasPrefix(name, begin) && !slices.Contains(given, name) {
				out = append(out, name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFirst offers nothing for what follows the first argument.
func completeFirst(first completion) completion {
	return func(c *cobra.Command, given []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return first(c, given, begin)
	}
}
