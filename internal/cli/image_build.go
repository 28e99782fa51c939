package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/cluster"
)

func (e *env) imageBuild() *cobra.Command {
	w := &build.Wish{}
	c := &cobra.Command{
		Use: "build -t NAME [flags] CONTEXT", Short: "Make an image from a Dockerfile, straight into this node",
		Long: `Make an image from a Dockerfile. It is in this node's images at once: kubectl run --image=NAME finds it.

CONTEXT is a directory, or - for an archive (tar, also compressed) or a Dockerfile on standard input. Base images are
those of this node, else they are pulled as pods' images are. The frontend is the built-in one of BuildKit; a "# syntax="
line is not followed. RUN steps run in the host's network, for the pods' bridge is the cluster's; --network none takes
it from them. What steps made is kept in the data directory for the next build, up to 10 GiB, the oldest going first;
minato image prune --build-cache removes it.`,
		Example: `  minato image build -t web:1 .
  minato image build -t web:2 -f docker/Dockerfile --build-arg VERSION=2 --target release .
  minato image build -t web:3 --secret id=token,src=token.txt .
  minato image build --output type=oci,dest=web.tar .
  tar c . | minato image build -t web:4 -`,
		Args: exactly(1, "CONTEXT (a directory, or -)"),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := w.Build(args[0])
			if err != nil {
				return usage(err)
			}
			return usage(e.helper(c.Context(), build.Order{Build: &b}))
		},
	}
	w.Flags(c.Flags())
	return c
}

// usage gives wrong orders the exit code of wrong use.
func usage(err error) error {
	if errors.Is(err, build.ErrOrder) {
		return exitError{2, err}
	}
	return err
}

// helper becomes the helper, which answers to the terminal itself, and does the order in the place of the cluster that is meant, or of a host where there is none.
func (e *env) helper(ctx context.Context, o build.Order) error {
	n, err := e.reach(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	if err := cluster.HoldOverExec(ctx, n); err != nil {
		return err
	}
	path, place, err := cluster.Builder(e.data)
	if err != nil {
		return err
	}
	o.Place = place
	return build.Exec(path, o)
}

// pruneBuilds removes what builds keep, down to keep bytes.
func (e *env) pruneBuilds(ctx context.Context, keep string) error {
	n, err := build.ParseSize(strings.TrimSpace(keep))
	if err != nil {
		return usage(err)
	}
	return e.helper(ctx, build.Order{Prune: &build.Prune{Keep: n}})
}
