package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"minato.dev/minato/internal/build"
)

// Streams are the standard streams of the process. Err gets the progress; where it is a terminal, one that moves.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err *os.File
}

// Run does what o says and returns when nothing of it is left but the image and the cache.
func Run(ctx context.Context, o build.Order, std Streams) (err error) {
	held, err := lock(ctx, o.Place.State, func() {
		fmt.Fprintln(std.Err, "waiting for another build on this node to end")
	})
	if err != nil {
		return err
	}
	defer held.Close()
	if err := sweep(ctx, o.Place); err != nil {
		return fmt.Errorf("clean up after an earlier build: %w", err)
	}
	if err := prepare(o.Place); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sweep(context.WithoutCancel(ctx), o.Place)) }()
	e, err := open(ctx, o.Place, func(why string) { fmt.Fprintf(std.Err, "the build cache begins anew: %s\n", why) })
	if err != nil {
		return fmt.Errorf("open the build cache in %s: %w", o.Place.State, err)
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if o.Prune != nil {
		return e.prune(ctx, o.Prune.Keep, std.Out)
	}
	if err := e.build(ctx, *o.Build, std); err != nil {
		return err
	}
	if !e.vault.grew() {
		return nil
	}
	return e.collect(ctx, o.Place.Keep)
}

// prepare makes the directories of a build. Temporary mounts of BuildKit's go below Run too, where sweep finds them.
func prepare(p build.Place) error {
	tmp := tmpDir(p)
	for _, dir := range []string{p.State, p.Run, tmp, bundles(p)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return os.Setenv("TMPDIR", tmp)
}
