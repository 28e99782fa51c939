package cli

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (e *env) imageInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect IMAGE...", Short: "Show everything about images as JSON", Args: atLeast(1, "IMAGE"),
		Example: "  minato image inspect web:1\n  minato image inspect web:1 | jq '.[0].Config.Cmd'",
		RunE: func(c *cobra.Command, args []string) error {
			out := []any{}
			var errs []error
			for _, ref := range args {
				a, err := e.local(c.Context(), http.MethodGet, "/images/inspect", url.Values{"ref": {ref}}, nil)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				for _, d := range a.Details {
					out = append(out, d)
				}
			}
			return errors.Join(append([]error{e.printJSON(out)}, errs...)...)
		},
	}
}
