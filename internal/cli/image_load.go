package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/image"
)

func (e *env) imageLoad() *cobra.Command {
	name := ""
	c := &cobra.Command{
		Use:   "load FILE|-",
		Short: "Bring images from an OCI archive or a docker-archive",
		Example: `  minato image load nginx.tar
  docker save web:1 | minato image load -
  minato image load --name example.org/web:1 web.oci.tar`,
		Args: exactly(1, "FILE, or - for the standard input,"),
		RunE: func(c *cobra.Command, args []string) error {
			in := io.Reader(os.Stdin)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = e.reading(f)
			}
			a, err := e.local(c.Context(), http.MethodPost, "/images/load", url.Values{"name": {name}}, in)
			if err != nil {
				return err
			}
			for _, img := range a.Images {
				fmt.Fprintf(e.out, "loaded %s (%s)\n", strings.Join(img.Names, ", "), short(img.ID))
			}
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "name for the archive's only image")
	return c
}

// reading shows how far a file has been read.
func (e *env) reading(f *os.File) io.Reader {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return f
	}
	return &fileReader{f: f, p: image.Progress{Digest: "loading", Total: st.Size()}, bars: newBars(e.err)}
}

type fileReader struct {
	f    *os.File
	p    image.Progress
	bars *bars
}

// Read implements io.Reader.
func (r *fileReader) Read(b []byte) (int, error) {
	n, err := r.f.Read(b)
	r.p.Done += int64(n)
	if err != nil {
		r.bars.end()
	} else {
		r.bars.update(r.p)
	}
	return n, err
}
