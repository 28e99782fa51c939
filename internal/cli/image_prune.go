package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func (e *env) imagePrune() *cobra.Command {
	all, dry, builds, keep := false, false, false, ""
	c := &cobra.Command{
		Use: "prune", Short: "Remove the images that no container uses", Args: cobra.NoArgs,
		Long: `Remove the images that no container on this node is made of. An image that came from a file or a build and was never
pushed stays, for no registry could give it back; --all takes it too. The node's own (pinned) images always stay.
With --build-cache the images stay, and what builds keep for the next one goes.`,
		Example: "  minato image prune --dry-run\n  minato image prune\n  minato image prune --all\n  minato image prune --build-cache --keep 2G",
		RunE: func(c *cobra.Command, _ []string) error {
			if builds {
				return e.pruneBuilds(c.Context(), keep)
			}
			a, err := e.local(c.Context(), http.MethodPost, "/images/prune",
				url.Values{"local": {strconv.FormatBool(all)}, "dry-run": {strconv.FormatBool(dry)}}, nil)
			if err != nil {
				return err
			}
			did, freed := "removed", "freed"
			if dry {
				did, freed = "would remove", "would free about"
			}
			for _, img := range a.Images {
				name := strings.Join(img.Names, ", ")
				if name == "" {
					name = "<none>"
				}
				fmt.Fprintf(e.out, "%s %s (%s)\n", did, name, short(img.ID))
			}
			fmt.Fprintf(e.out, "%s %s\n", freed, megabytes(a.Bytes))
			return nil
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "also images that no registry is known to have")
	c.Flags().BoolVar(&builds, "build-cache", false, "remove what image builds keep, not images")
	c.Flags().StringVar(&keep, "keep", "0", "with --build-cache: how much of it may stay, the latest")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would go, and leave it")
	c.MarkFlagsMutuallyExclusive("build-cache", "all")
	c.MarkFlagsMutuallyExclusive("build-cache", "dry-run")
	return c
}
