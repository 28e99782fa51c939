package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/credential"
	"minato.dev/minato/internal/image"
)

func (e *env) imagePull() *cobra.Command {
	user := ""
	c := &cobra.Command{
		Use:   "pull IMAGE",
		Short: "Pull an image from its registry",
		Long: `Pull an image from its registry, or again where its tag has moved. Without --user the registry is shown what
$DOCKER_CONFIG/config.json or ~/.docker/config.json knows of it, credential helpers included.`,
		Example: `  minato image pull 127.0.0.1:5000/web:1
  minato image pull --user me:secret registry.example.org/web:1`,
		Args: exactly(1, "IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := e.pullImage(c.Context(), user, args[0])
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

func (e *env) pullImage(ctx context.Context, user, ref string) (cluster.LocalAnswer, error) {
	body, err := e.credentials(ctx, user, ref)
	if err != nil {
		return cluster.LocalAnswer{}, err
	}
	return e.local(ctx, http.MethodPost, "/images/pull", url.Values{"ref": {ref}}, bytes.NewReader(body))
}

func userFlag(c *cobra.Command, user *string) {
	c.Flags().StringVar(user, "user", "", "NAME:PASSWORD for the registry")
}

// credentials are the body of a pull or push: what --user says, else what the user's docker configuration knows of the
// registry; empty where there is nothing.
func (e *env) credentials(ctx context.Context, user, ref string) ([]byte, error) {
	if user != "" {
		name, password, err := splitLogin(user)
		if err != nil {
			return nil, err
		}
		return json.Marshal(image.Auth{Username: name, Password: password})
	}
	docker, err := credential.UserDocker()
	if err != nil {
		return nil, nil // without a home there is no configuration
	}
	logins, err := docker.Logins(ctx, ref, nil)
	if len(logins) > 0 {
		l := logins[0]
		return json.Marshal(image.Auth{Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken})
	}
	if err != nil {
		fmt.Fprintln(e.err, "minato: warning:", err)
	}
	return nil, nil
}
