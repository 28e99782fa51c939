package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"minato.dev/minato/internal/run"
)

// CopyOptions change what Copy, Pack and Unpack do.
type CopyOptions struct {
	Owners bool // keep owner and group; otherwise what is written belongs to us
	Follow bool // where the source is a link, copy what it leads to
}

// Copy copies a file or directory from one tree to another by docker's rules. Where dst is a directory the source comes into
// it, under its own name, or its contents do where src ends with "/."; otherwise dst is its new name, in a directory that must
// be there.
func Copy(ctx context.Context, from *Tree, src string, to *Tree, dst string, o CopyOptions) error {
	st, err := source(from, src, o)
	if err != nil {
		return err
	}
	dir, name, err := target(to, dst, st.IsDir(), contents(src))
	if err != nil {
		return err
	}
	if name == "" {
		name = ownName(src)
	}
	r, w := io.Pipe()
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("read", func(ctx context.Context) error {
			err := pack(ctx, w, from, src, name, o)
			w.CloseWithError(err)
			return err
		})
		err := Unpack(s.Context(), r, to, dir, o)
		r.CloseWithError(errOtherEnd)
		return err
	})
}

// errOtherEnd is what the reading side meets when the writing side has failed: that has said why.
var errOtherEnd = errors.New("the copy was broken off")

// Pack writes what is at src as a tar archive, under its own name.
func Pack(ctx context.Context, w io.Writer, from *Tree, src string, o CopyOptions) error {
	if _, err := source(from, src, o); err != nil {
		return err
	}
	name := ownName(src)
	if contents(src) {
		name = "."
	}
	return pack(ctx, w, from, src, name, o)
}

// contents reports whether src means what is in the directory, and not the directory.
func contents(src string) bool { return path.Join("/", src) == "/" || path.Base(src) == "." }

func ownName(src string) string { return path.Base(path.Join("/", src)) }

// source looks at what is to be copied.
func source(from *Tree, src string, o CopyOptions) (fs.FileInfo, error) {
	look := from.Lstat
	if o.Follow || contents(src) || strings.HasSuffix(src, "/") {
		look = from.Stat
	}
	st, err := look(src)
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", src, unwrapPath(err))
	}
	if !st.IsDir() && (strings.HasSuffix(src, "/") || strings.HasSuffix(src, "/.")) {
		return nil, fmt.Errorf("copy %s: it is no directory", src)
	}
	return st, nil
}

// target decides into which directory, and under which name ("": its own, ".": none) the source comes.
func target(to *Tree, dst string, isDir, contents bool) (dir, name string, err error) {
	at, err := to.resolve(dst)
	if err != nil {
		return "", "", fmt.Errorf("copy to %s: %w", dst, unwrapPath(err))
	}
	slash := strings.HasSuffix(dst, "/") || strings.HasSuffix(dst, "/.")
	st, err := to.Stat(at)
	switch {
	case err == nil && st.IsDir() && contents:
		return at, ".", nil
	case err == nil && st.IsDir():
		return at, "", nil
	case err == nil && isDir:
		return "", "", fmt.Errorf("copy to %s: a file is there, and the source is a directory", dst)
	case err == nil && slash:
		return "", "", fmt.Errorf("copy to %s: it is no directory", dst)
	case err == nil:
		return path.Dir(at), path.Base(at), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", fmt.Errorf("copy to %s: %w", dst, unwrapPath(err))
	case slash && !isDir:
		return "", "", fmt.Errorf("copy to %s: there is no such directory", dst)
	}
	if st, err := to.Stat(path.Dir(at)); err != nil || !st.IsDir() {
		return "", "", fmt.Errorf("copy to %s: there is no directory %s to put it into", dst, path.Dir(at))
	}
	return path.Dir(at), path.Base(at), nil
}

// unwrapPath leaves the kernel's words: the path stands in the sentence already.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// pack writes the tree at src under name.
func pack(ctx context.Context, w io.Writer, from *Tree, src, name string, o CopyOptions) error {
	at := path.Join("/", src)
	if o.Follow || contents(src) || strings.HasSuffix(src, "/") {
		resolved, err := from.resolve(src)
		if err != nil {
			return err
		}
		at = resolved
	}
	st, err := from.Lstat(at)
	if err != nil {
		return err
	}
	p := &packer{w: tar.NewWriter(w), names: map[inode]string{}}
	dir, file := path.Dir(at), path.Base(at)
	if st.IsDir() {
		dir, file = at, "."
	}
	if p.root, err = from.enter(dir); err != nil {
		return err
	}
	defer p.root.Close()
	if st.IsDir() {
		err = p.tree(ctx, file, name)
	} else {
		err = p.entry(ctx, file, name)
	}
	if err != nil {
		return err
	}
	return p.w.Close()
}
