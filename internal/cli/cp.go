package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func (e *env) cp() *cobra.Command {
	o := container.CopyOptions{}
	c := &cobra.Command{
		Use: "cp CONTAINER:SRC DST|-\n  minato cp SRC|- CONTAINER:DST", Short: "Copy files from and to containers of `minato run`", Args: exactly(2, "a source and a target"),
		ValidArgsFunction: completePlace(e.completeContainers(nil)),
		Long: `Copy a file or directory, running or not, as docker cp: into DST where that is a directory, else as DST; the contents of a
directory where SRC ends with "/.". "-" is a tar archive on the standard output or input. Nothing need be installed in the
container. Of one that does not run, volumes are found by the paths that they were given.`,
		Example: "  minato cp web:/etc/nginx/nginx.conf .\n  minato cp ./site/. web:/srv/www\n  minato cp web:/var/log - | tar t",
		RunE: func(c *cobra.Command, args []string) error {
			from, src := splitPlace(args[0])
			to, dst := splitPlace(args[1])
			switch {
			case from != "" && to != "":
				return exitError{2, errors.New("one of the two must be on this machine: copy to a directory first")}
			case from == "" && to == "":
				return exitError{2, fmt.Errorf("one of the two must be CONTAINER:PATH; see `%s --help`", c.CommandPath())}
			case from != "":
				return e.copyFrom(c.Context(), from, src, dst, o)
			}
			return e.copyTo(c.Context(), src, to, dst, o)
		},
	}
	e.dataDir(c)
	c.Flags().BoolVarP(&o.Owners, "archive", "a", false, "keep owners and groups")
	c.Flags().BoolVarP(&o.Follow, "follow-link", "L", false, "where SRC is a link, copy what it leads to")
	return c
}

// completePlace offers files, and containers with a colon.
func completePlace(containers completion) completion {
	return func(c *cobra.Command, given []string, begin string) ([]string, cobra.ShellCompDirective) {
		names, _ := containers(c, nil, begin)
		for i := range names {
			names[i] += ":"
		}
		return names, cobra.ShellCompDirectiveNoSpace
	}
}

// splitPlace takes CONTAINER:PATH apart. A path with a colon in it needs a slash before that.
func splitPlace(text string) (ref, at string) {
	ref, at, inside := strings.Cut(text, ":")
	if !inside || strings.Contains(ref, "/") || ref == "" || strings.HasPrefix(text, ".") {
		return "", text
	}
	if at == "" {
		at = "/"
	}
	return ref, at
}

// withFiles runs f with a container's files, where a path leads to; a volume of one that does not run is found by that path.
func (e *env) withFiles(ctx context.Context, ref, at string, write bool, f func(t *container.Tree, at string) error) error {
	return e.withContainer(ctx, ref, func(n *cluster.Node, x container.Container) error {
		if dir, rest, readOnly, ok := x.VolumeAt(at); ok && !x.Running() {
			if write && readOnly {
				return fmt.Errorf("copy to %s: the volume is read-only", at)
			}
			t, err := container.OpenTree(dir)
			if err != nil {
				return err
			}
			defer t.Close()
			return f(t, rest)
		}
		t, release, err := n.Files(ctx, x, write)
		if err != nil {
			return err
		}
		err = f(t, at)
		return errors.Join(err, t.Close(), release())
	})
}

func (e *env) copyFrom(ctx context.Context, ref, src, dst string, o container.CopyOptions) error {
	return e.withFiles(ctx, ref, src, false, func(t *container.Tree, src string) error {
		if dst == "-" {
			if isTerminal(e.out) {
				return exitError{2, errors.New("an archive is not for a terminal: write it to a file or a command")}
			}
			return container.Pack(ctx, e.out, t, src, o)
		}
		here, at, err := thisMachine(dst)
		if err != nil {
			return err
		}
		defer here.Close()
		return container.Copy(ctx, t, src, here, at, o)
	})
}

func (e *env) copyTo(ctx context.Context, src, ref, dst string, o container.CopyOptions) error {
	return e.withFiles(ctx, ref, dst, true, func(t *container.Tree, dst string) error {
		if src == "-" {
			if st, err := t.Stat(dst); err != nil || !st.IsDir() {
				return fmt.Errorf("copy to %s: an archive needs a directory to be unpacked in", dst)
			}
			return container.Unpack(ctx, io.Reader(stdin), t, dst, o)
		}
		here, at, err := thisMachine(src)
		if err != nil {
			return err
		}
		defer here.Close()
		return container.Copy(ctx, here, at, t, dst, o)
	})
}

// thisMachine is the tree of our own files, and the path in it.
func thisMachine(at string) (*container.Tree, string, error) {
	full, err := filepath.Abs(at)
	if err != nil {
		return nil, "", err
	}
	switch base := path.Base(at); {
	case base == "." && full != "/":
		full += "/."
	case strings.HasSuffix(at, "/") && full != "/":
		full += "/"
	}
	t, err := container.OpenTree("/")
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(filepath.Dir(filepath.Clean(full))); err != nil {
		return nil, "", errors.Join(err, t.Close())
	}
	return t, full, nil
}
