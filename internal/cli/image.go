package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/image"
)

func (e *env) image() *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "Manage the images of this node", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	for _, verb := range []*cobra.Command{e.imageLoad(), e.imagePull(), e.imageList(), e.imageRemove()} {
		e.dataDir(verb)
		c.AddCommand(verb)
	}
	return c
}

func (e *env) imageLoad() *cobra.Command {
	name := ""
	c := &cobra.Command{
		Use:   "load FILE|-",
		Short: "Bring images from an OCI archive or a docker-archive",
		Example: `  minato image load nginx.tar
  docker save web:1 | minato image load -
  minato image load --name example.org/web:1 web.oci.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in := io.Reader(os.Stdin)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
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

func (e *env) imagePull() *cobra.Command {
	user := ""
	c := &cobra.Command{
		Use:   "pull IMAGE",
		Short: "Pull an image from its registry",
		Example: `  minato image pull 127.0.0.1:5000/web:1
  minato image pull --user me:secret registry.example.org/web:1`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var body []byte
			if user != "" {
				name, password, ok := strings.Cut(user, ":")
				if !ok {
					return exitError{2, errors.New("--user: must be NAME:PASSWORD")}
				}
				body, _ = json.Marshal(image.Auth{Username: name, Password: password})
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
	c.Flags().StringVar(&user, "user", "", "NAME:PASSWORD for the registry")
	return c
}

func (e *env) imageList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the images of this node", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := e.local(c.Context(), http.MethodGet, "/images", nil, nil)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "IMAGE\tID\tSIZE")
			for _, img := range a.Images {
				names := img.Names
				if len(names) == 0 {
					names = []string{"<none>"}
				}
				for _, n := range names {
					fmt.Fprintf(w, "%s\t%s\t%.1f MB\n", n, short(img.ID), float64(img.Size)/1e6)
				}
			}
			return w.Flush()
		},
	}
}

func (e *env) imageRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images from this node", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var errs []error
			for _, ref := range args {
				if _, err := e.local(c.Context(), http.MethodDelete, "/images", url.Values{"ref": {ref}}, nil); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintln(e.out, "removed", ref)
			}
			return errors.Join(errs...)
		},
	}
}

func short(id string) string {
	return strings.TrimPrefix(id, "sha256:")[:min(12, len(strings.TrimPrefix(id, "sha256:")))]
}

// local asks the running cluster on this machine and shows its progress on a terminal.
func (e *env) local(ctx context.Context, method, path string, q url.Values, body io.Reader) (cluster.LocalAnswer, error) {
	var last cluster.LocalAnswer
	socket, err := cluster.FindLocalSocket(e.data)
	if err != nil {
		return last, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://minato"+path+"?"+q.Encode(), body)
	if err != nil {
		return last, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return last, fmt.Errorf("reach the cluster in %s: %w; is it running? see `minato status`", e.data, err)
	}
	defer resp.Body.Close()
	show := isTerminal(e.err)
	for d := json.NewDecoder(resp.Body); !last.Done; {
		last = cluster.LocalAnswer{}
		if err := d.Decode(&last); err != nil {
			return last, fmt.Errorf("the cluster broke off its answer: %w", err)
		}
		if p := last.Progress; p != nil && show && p.Total > 0 {
			fmt.Fprintf(e.err, "\r%s  %5.1f %%", short(p.Digest), 100*float64(p.Done)/float64(p.Total))
		}
	}
	if show && method == http.MethodPost {
		fmt.Fprint(e.err, "\r\033[K")
	}
	if last.Error != "" {
		return last, errors.New(last.Error)
	}
	return last, nil
}
