package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/cluster"
)

// buildFlags are what `minato image build` is told.
type buildFlags struct {
	build                          build.Build
	args, labels, secrets, outputs []string
}

func (e *env) imageBuild() *cobra.Command {
	f := &buildFlags{}
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
			f.build.Context = args[0]
			return usage(e.runBuild(c.Context(), f))
		},
	}
	b, fl := &f.build, c.Flags()
	fl.StringArrayVarP(&b.Names, "tag", "t", nil, "name for the image; may be repeated")
	fl.StringVarP(&b.File, "file", "f", "", "the Dockerfile, - for standard input (default CONTEXT/Dockerfile)")
	fl.StringArrayVar(&f.args, "build-arg", nil, "KEY=VALUE for an ARG; KEY alone takes the environment's")
	fl.StringArrayVar(&f.labels, "label", nil, "KEY=VALUE, a label of the image")
	fl.StringArrayVar(&f.secrets, "secret", nil, "id=ID,src=FILE or id=ID,env=NAME, for RUN --mount=type=secret")
	fl.StringArrayVarP(&f.outputs, "output", "o", nil, "type=oci|docker,dest=FILE: write an archive and leave the node alone")
	fl.StringVar(&b.Target, "target", "", "stop at this stage")
	fl.BoolVar(&b.NoCache, "no-cache", false, "run every step anew")
	fl.BoolVar(&b.Pull, "pull", false, "ask registries whether base images have changed")
	fl.StringVar(&b.Platform, "platform", "", "only "+build.HostPlatform()+", this machine's")
	fl.StringVar(&b.Network, "network", "", "network of RUN steps: host or none")
	fl.StringVar(&b.Progress, "progress", "auto", "auto, plain, tty or quiet")
	return c
}

// usage gives wrong orders the exit code of wrong use.
func usage(err error) error {
	if errors.Is(err, build.ErrOrder) {
		return exitError{2, err}
	}
	return err
}

// runBuild becomes the helper, which answers to the terminal itself.
func (e *env) runBuild(ctx context.Context, f *buildFlags) (err error) {
	b := f.build
	if err := build.CheckPlatform(b.Platform); err != nil {
		return err
	}
	if b.Args, err = build.ParseArgs(f.args, os.LookupEnv); err != nil {
		return err
	}
	if b.Labels, err = build.ParseArgs(f.labels, func(string) (string, bool) { return "", true }); err != nil {
		return err
	}
	for _, w := range f.secrets {
		s, err := build.ParseSecret(w, os.LookupEnv)
		if err != nil {
			return err
		}
		b.Secrets = append(b.Secrets, s)
	}
	for _, w := range f.outputs {
		o, err := build.ParseOutput(w)
		if err != nil {
			return err
		}
		b.Outputs = append(b.Outputs, o)
	}
	if err := b.Absolute(); err != nil {
		return err
	}
	return e.helper(ctx, build.Order{Build: &b})
}

// helper does the order in the place of the cluster that is meant, or of a host where there is none.
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
