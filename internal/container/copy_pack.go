package container

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// packer writes one tree as an archive.
type packer struct {
	root  *os.Root
	w     *tar.Writer
	names map[inode]string // of files with several names
	// attributes says that extended ones are kept.
	attributes bool
}

type inode struct{ dev, ino uint64 }

// tree writes file, a name in root, and all below it, as name.
func (p *packer) tree(ctx context.Context, file, name string) error {
	return fs.WalkDir(p.root.FS(), file, func(at string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		as := name
		if at != file {
			as = path.Join(name, relative(file, at))
		}
		return p.entry(ctx, at, as)
	})
}

func relative(base, at string) string {
	if base == "." {
		return at
	}
	return at[len(base)+1:]
}

func (p *packer) entry(ctx context.Context, at, as string) error {
	st, err := p.root.Lstat(at)
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket != 0 {
		return nil // a socket is nothing without who listens
	}
	link := ""
	if st.Mode()&fs.ModeSymlink != 0 {
		if link, err = p.root.Readlink(at); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(st, link)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	h.Name, h.Uname, h.Gname = as, "", ""
	if st.IsDir() {
		h.Name += "/"
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok && st.Mode().IsRegular() && s.Nlink > 1 {
		id := inode{s.Dev, s.Ino}
		if first, seen := p.names[id]; seen {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return p.w.WriteHeader(h)
		}
		p.names[id] = as
	}
	if !st.Mode().IsRegular() {
		return p.w.WriteHeader(h)
	}
	return p.file(ctx, at, h)
}

// file writes a regular file. One that grows meanwhile is cut, one that shrinks is an error.
func (p *packer) file(ctx context.Context, at string, h *tar.Header) error {
	f, err := p.root.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.attributes {
		if err := keepAttributes(f, h); err != nil {
			return err
		}
	}
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(p.w, reading(ctx, f), h.Size)
	if err == io.EOF {
		return fmt.Errorf("%s: it became smaller while it was copied", at)
	}
	return err
}

// reading reads r and stops when ctx has ended.
func reading(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(b)
	})
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
