package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (e *env) imageTag() *cobra.Command {
	return &cobra.Command{
		Use: "tag IMAGE NAME", Short: "Give an image a further name", Args: exactly(2, "IMAGE and NAME"),
		Example: "  minato image tag web:1 127.0.0.1:5000/team/web:1\n  minato image tag 3f2a1b0c9d8e web:latest",
		RunE: func(c *cobra.Command, args []string) error {
			a, err := e.local(c.Context(), http.MethodPost, "/images/tag", url.Values{"ref": {args[0]}, "name": {args[1]}}, nil)
			if err != nil {
				return err
			}
			for _, img := range a.Images {
				fmt.Fprintf(e.out, "tagged %s as %s\n", short(img.ID), args[1])
			}
			return nil
		},
	}
}
