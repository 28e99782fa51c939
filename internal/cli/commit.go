package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/run"
)

func (e *env) commit() *cobra.Command {
	made := container.Commit{}
	var changes []string
	c := &cobra.Command{
		Use: "commit CONTAINER NAME[:TAG]", Short: "Make an image of what a container of `minato run` has written", Args: exactly(2, "a container and a name"),
		ValidArgsFunction: e.completeContainers(nil),
		Long: `Make an image of a container's image and what the container has written on it, with the command, variables, user and
working directory that it was run with. Volumes are not part of it. A container that runs goes on meanwhile: each file
is as it was when it was read.`,
		Example: "  minato commit web web:patched\n  minato commit -c 'CMD [\"nginx\"]' -c 'ENV MODE=debug' -m 'more words' web web:debug",
		RunE: func(c *cobra.Command, args []string) error {
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				d, err := e.detailOf(c.Context(), x.Spec.ImageID)
				if err != nil {
					return err
				}
				own := inspectedConfigOf(x.Spec, d)
				made.Base = ocispec.Image{Platform: ocispec.Platform{Variant: d.Variant}, Config: d.Config, RootFS: d.RootFS, History: d.History}
				if d.Manifest != nil {
					made.BaseLayers = append([]ocispec.Descriptor{}, d.Layers...)
				}
				made.Config.User, made.Config.WorkingDir, made.Config.Env, made.Config.Cmd, made.Config.Entrypoint = own.User, own.WorkingDir, own.Env, own.Cmd, own.Entrypoint
				for _, text := range changes {
					if err := made.Change(text); err != nil {
						return exitError{2, err}
					}
				}
				if made.Upper, _, _, err = n.Engine.Layers(c.Context(), x); err != nil {
					return err
				}
				return e.commitAs(c.Context(), args[1], &made)
			})
		},
	}
	e.dataDir(c)
	c.Flags().StringVarP(&made.Author, "author", "a", "", "who made it")
	c.Flags().StringVarP(&made.Message, "message", "m", "", "what it is")
	c.Flags().StringArrayVarP(&changes, "change", "c", nil, "a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME or WORKDIR")
	return c
}

// detailOf is what the node knows of an image.
func (e *env) detailOf(ctx context.Context, ref string) (image.Detail, error) {
	a, err := e.local(ctx, http.MethodGet, "/images/inspect", url.Values{"ref": {ref}}, nil)
	if err == nil && len(a.Details) != 1 {
		err = errors.New("the node says nothing of image " + ref)
	}
	if err != nil {
		return image.Detail{}, err
	}
	return a.Details[0], nil
}

// commitAs gives the node the image as an archive without the layers that it has.
func (e *env) commitAs(ctx context.Context, name string, made *container.Commit) error {
	layer, err := os.CreateTemp("", "minato-commit-")
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := os.Remove(layer.Name()); err != nil {
		return err
	}
	if err := made.Pack(ctx, layer); err != nil {
		return err
	}
	r, w := io.Pipe()
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("write", func(context.Context) error {
			err := made.Archive(w, layer)
			w.CloseWithError(err)
			return nil // the reader says it
		})
		a, err := e.local(s.Context(), http.MethodPost, "/images/load", url.Values{"name": {name}}, r)
		r.CloseWithError(errors.New("the node takes no more of it"))
		for _, img := range a.Images {
			fmt.Fprintln(e.out, img.ID)
		}
		return err
	})
}
