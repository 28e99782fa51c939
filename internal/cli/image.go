package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (e *env) image() *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "Manage the images of this node", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Example: `  minato image pull 127.0.0.1:5000/web:1
  docker save web:1 | minato image load -
  minato image ls`}
	for _, verb := range []*cobra.Command{e.imageBuild(), e.imageLoad(), e.imagePull(), e.imagePush(), e.imageSave(), e.imageList(), e.imageInspect(), e.imageTag(), e.imageRemove(), e.imagePrune()} {
		e.dataDir(verb)
		c.AddCommand(verb)
	}
	return c
}

// atLeast is cobra.MinimumNArgs with an error that says what is missing and exit code 2.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return exitError{2, fmt.Errorf("%s is missing; see `%s --help`", what, c.CommandPath())}
		}
		return nil
	}
}

// exactly is cobra.ExactArgs in the same way.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return exitError{2, fmt.Errorf("%s must be given and nothing else; see `%s --help`", what, c.CommandPath())}
		}
		return nil
	}
}

// splitLogin takes NAME:PASSWORD apart.
func splitLogin(user string) (name, password string, err error) {
	name, password, ok := strings.Cut(user, ":")
	if !ok {
		return "", "", exitError{2, errors.New("--user: must be NAME:PASSWORD")}
	}
	return name, password, nil
}

func short(id string) string {
	digits := id[strings.IndexByte(id, 0x3a)+1:]
	return digits[:min(12, len(digits))]
}
