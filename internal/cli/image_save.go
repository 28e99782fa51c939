package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/image"
)

func (e *env) imageSave() *cobra.Command {
	output, format := "", ""
	c := &cobra.Command{
		Use:   "save IMAGE...",
		Short: "Write images to an archive",
		Long: `Write images to one archive. An oci-archive holds Docker's manifest.json too, so that docker load, podman load, skopeo
and ctr read it, and keeps digests. A docker-archive is for tools that know nothing else.`,
		Example: `  minato image save -o web.tar web:1
  minato image save web:1 api:2 | ssh other minato image load -
  minato image save --format docker-archive -o web.tar web:1`,
		Args: atLeast(1, "IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			if f := image.Format(format); f != image.OCIArchive && f != image.DockerArchive {
				return exitError{2, fmt.Errorf("--format %q: must be %s or %s", format, image.OCIArchive, image.DockerArchive)}
			}
			if output == "" && isTerminal(e.out) {
				return exitError{2, errors.New("an archive is not for the terminal: name a file with --output, or send the output into a pipe")}
			}
			q := url.Values{"ref": args, "format": {format}}
			if output == "" || output == "-" {
				return e.saveTo(c.Context(), q, e.out)
			}
			return e.saveFile(c.Context(), q, output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default: the standard output)")
	c.Flags().StringVar(&format, "format", string(image.OCIArchive), "oci-archive or docker-archive")
	return c
}

// saveFile writes the archive under its name only when it is whole.
func (e *env) saveFile(ctx context.Context, q url.Values, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name
	if err := errors.Join(e.saveTo(ctx, q, f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (e *env) saveTo(ctx context.Context, q url.Values, w io.Writer) error {
	resp, err := e.ask(ctx, http.MethodGet, "/images/save", q, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refused(resp)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if text := resp.Trailer.Get(cluster.SaveError); text != "" {
		return errors.New(text)
	}
	return nil
}
