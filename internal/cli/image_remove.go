package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (e *env) imageRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images from this node", Args: atLeast(1, "IMAGE"),
		Example: "  minato image rm web:1\n  minato image rm 3f2a1b0c9d8e",
		RunE: func(c *cobra.Command, args []string) error {
			var errs []error
			for _, ref := range args {
				if _, err := e.local(c.Context(), http.MethodDelete, "/images", url.Values{"ref": {ref}}, nil); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintln(e.out, "removed", ref)
			}
			return errors.Join(errs...)
		},
	}
}
