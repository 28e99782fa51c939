package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (e *env) imageList() *cobra.Command {
	quiet := false
	c := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the images of this node", Args: cobra.NoArgs,
		Example: "  minato image ls\n  minato image ls --quiet",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := e.local(c.Context(), http.MethodGet, "/images", nil, nil)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
			if !quiet {
				fmt.Fprintln(w, "IMAGE\tID\tSIZE")
			}
			for _, img := range a.Images {
				names := img.Names
				if len(names) == 0 {
					names = []string{"<none>"}
				}
				for _, n := range names {
					if quiet {
						fmt.Fprintln(w, img.ID)
						break
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", n, short(img.ID), megabytes(img.Size))
				}
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print ids only")
	return c
}

// printJSON writes v for people and programs.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
