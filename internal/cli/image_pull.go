package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/image"
)

func (e *env) imagePull() *cobra.Command {
	user := ""
	c := &cobra.Command{
		Use:   "pull IMAGE",
		Short: "Pull an image from its registry",
		Example: `  minato image pull 127.0.0.1:5000/web:1
  minato image pull --user me:secret registry.example.org/web:1`,
		Args: exactly(1, "IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := credentials(user)
			if err != nil {
				return err
			}
			a, err := e.local(c.Context(), http.MethodPost, "/images/pull", url.Values{"ref": {args[0]}}, bytes.NewReader(body))
			if err != nil {
				return err
			}
			for _, img := range a.Images {
				fmt.Fprintf(e.out, "pulled %s (%s)\n", strings.Join(img.Names, ", "), short(img.ID))
			}
			return nil
		},
	}
	userFlag(c, &user)
	return c
}

func userFlag(c *cobra.Command, user *string) {
	c.Flags().StringVar(user, "user", "", "NAME:PASSWORD for the registry")
}

// credentials are the body of a pull or push; empty where there are none.
func credentials(user string) ([]byte, error) {
	if user == "" {
		return nil, nil
	}
	name, password, err := splitLogin(user)
	if err != nil {
		return nil, err
	}
	return json.Marshal(image.Auth{Username: name, Password: password})
}
