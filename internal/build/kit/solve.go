package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/opencontainers/go-digest"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/run"
)

// build makes the image and tells what became of it.
func (e *engine) build(ctx context.Context, b build.Build, std Streams) error {
	e.node.fresh = b.Pull
	opt, files, err := e.solveOpt(b, std)
	if err != nil {
		return err
	}
	defer files.drop()
	display, err := progressui.NewDisplay(std.Err, progressui.DisplayMode(b.Progress))
	if err != nil {
		return fmt.Errorf("progress %s: %w", b.Progress, err)
	}
	status := make(chan *client.SolveStatus)
	var solved *client.SolveResponse
	var warnings []client.VertexWarning
	err = run.With(ctx, func(s *run.Scope) error {
		s.Go("progress", func(context.Context) (err error) {
			// It ends when Solve closes the channel, and must not before, or Solve would wait for it.
			warnings, err = display.UpdateFrom(context.WithoutCancel(ctx), status)
			return err
		})
		solved, err = e.client.Solve(s.Context(), nil, opt, status)
		return err
	})
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	warn(warnings, std.Err)
	if err != nil {
		return explain(err, std.Err)
	}
	if err := files.keep(); err != nil {
		return err
	}
	report(b, solved, std)
	return nil
}

// report says on standard output what was made.
func report(b build.Build, solved *client.SolveResponse, std Streams) {
	id := digest.Digest(solved.ExporterResponse[exptypes.ExporterImageConfigDigestKey])
	if len(b.Outputs) == 0 {
		fmt.Fprintf(std.Out, "built %s (%s)\n", strings.Join(b.Names, ", "), id.Encoded()[:12])
		return
	}
	for _, o := range b.Outputs {
		if o.Dest != "-" {
			fmt.Fprintf(std.Out, "wrote %s\n", o.Dest)
		}
	}
}

// solveOpt says to BuildKit what the order says to us.
func (e *engine) solveOpt(b build.Build, std Streams) (opt client.SolveOpt, files *outputs, err error) {
	names, err := fullNames(b.Names)
	if err != nil {
		return opt, nil, err
	}
	opt = client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs(b), Internal: true, // no history of builds is kept
		AllowedEntitlements: []string{string(entitlements.EntitlementNetworkHost)},
		SharedKey:           digest.FromString(b.Context).Encoded(), // the same directory again sends only what changed
	}
	secrets, err := secretsOf(b)
	if err != nil {
		return opt, nil, err
	}
	opt.Session = []session.Attachable{secrets}
	if err := e.sources(&opt, b, std); err != nil {
		return opt, nil, err
	}
	files = &outputs{stdout: std.Out}
	if opt.Exports, err = files.exports(b.Outputs, names); err != nil {
		return opt, nil, err
	}
	return opt, files, nil
}

// attrs are what the Dockerfile frontend reads. "cmdline" keeps it from fetching another frontend for a "# syntax=" line.
func attrs(b build.Build) map[string]string {
	out := map[string]string{"cmdline": "minato"}
	for k, v := range b.Args {
		out["build-arg:"+k] = v
	}
	for k, v := range b.Labels {
		out["label:"+k] = v
	}
	if b.Target != "" {
		out["target"] = b.Target
	}
	if b.NoCache {
		out["no-cache"] = ""
	}
	if b.Network != "" {
		out["force-network-mode"] = b.Network
	}
	return out
}

// fullNames completes names as Docker does.
func fullNames(names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		ref, err := reference.ParseDockerRef(n)
		if err != nil {
			return nil, fmt.Errorf("%w: name %q: %w", build.ErrOrder, n, err)
		}
		if _, ok := ref.(reference.Digested); ok {
			return nil, fmt.Errorf("%w: name %q: a digest cannot be given as a name; use NAME:TAG", build.ErrOrder, n)
		}
		out = append(out, ref.String())
	}
	return out, nil
}

func secretsOf(b build.Build) (session.Attachable, error) {
	var all []secretsprovider.Source
	for _, s := range b.Secrets {
		if s.Env != "" {
			if _, ok := os.LookupEnv(s.Env); !ok {
				return nil, fmt.Errorf("%w: secret %s: the variable %s is not set", build.ErrOrder, s.ID, s.Env)
			}
		}
		all = append(all, secretsprovider.Source{ID: s.ID, FilePath: s.Src, Env: s.Env})
	}
	store, err := secretsprovider.NewStore(all)
	if err != nil {
		return nil, err
	}
	return secretsprovider.NewSecretProvider(store), nil
}

// outputs are files in the making: each gets its name when the build has succeeded.
type outputs struct {
	stdout io.Writer
	files  []*os.File
	dests  []string
}

// exports are where the image goes: into the node, or into files.
func (o *outputs) exports(wanted []build.Output, names []string) ([]client.ExportEntry, error) {
	name := strings.Join(names, ",")
	if len(wanted) == 0 {
		return []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{
			"name": name,
			// Base layers that no step read are on the node and need not pass through the cache.
			"unsafe-internal-store-allow-incomplete": "true",
		}}}, nil
	}
	var out []client.ExportEntry
	for _, w := range wanted {
		open, err := o.open(w.Dest)
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		attrs := map[string]string{}
		if name != "" {
			attrs["name"] = name
		}
		out = append(out, client.ExportEntry{Type: w.Type, Attrs: attrs, Output: open})
	}
	return out, nil
}

func (o *outputs) open(dest string) (filesync.FileOutputFunc, error) {
	if dest == "-" {
		return func(map[string]string) (io.WriteCloser, error) { return keepOpen{o.stdout}, nil }, nil
	}
	f, err := os.CreateTemp(filepath.Dir(dest), "."+filepath.Base(dest)+".*")
	if err != nil {
		return nil, err
	}
	o.files, o.dests = append(o.files, f), append(o.dests, dest)
	return func(map[string]string) (io.WriteCloser, error) { return keepOpen{f}, nil }, nil
}

// keepOpen leaves closing to outputs.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// keep gives the files their names. They need not be on the disk yet: nobody waits for that who copies a file, nor does
// BuildKit's own client.
func (o *outputs) keep() error {
	for i, f := range o.files {
		if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
			return fmt.Errorf("output %s: %w", o.dests[i], err)
		}
		if err := os.Rename(f.Name(), o.dests[i]); err != nil {
			return err
		}
	}
	o.files = nil
	return nil
}

// drop removes what was not kept.
func (o *outputs) drop() {
	for _, f := range o.files {
		_ = f.Close()
		_ = os.Remove(f.Name()) // nobody knows its name
	}
}
