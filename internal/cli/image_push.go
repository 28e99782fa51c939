package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (e *env) imagePush() *cobra.Command {
	user := ""
	c := &cobra.Command{
		Use:   "push IMAGE",
		Short: "Push an image to the registry in its name",
		Long: `Push an image to the registry in its name. Layers that the registry has are not sent again, and the manifest is sent
last and unchanged: the image has the same digest there as here. Of an image for several platforms the one that is here
is pushed. Plain HTTP is spoken only to registries on this machine.`,
		Example: `  minato image tag web:1 127.0.0.1:5000/team/web:1
  minato image push 127.0.0.1:5000/team/web:1
  minato image push --user me:secret registry.example.org/web:1`,
		Args: exactly(1, "IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := e.credentials(c.Context(), user, args[0])
			if err != nil {
				return err
			}
			a, err := e.local(c.Context(), http.MethodPost, "/images/push", url.Values{"ref": {args[0]}}, bytes.NewReader(body))
			if err != nil {
				return err
			}
			fmt.Fprintf(e.out, "pushed %s (%s)\n", args[0], a.Digest)
			return nil
		},
	}
	userFlag(c, &user)
	return c
}
