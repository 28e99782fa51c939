package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// epoch is the time of every file, so that the same input makes the same bytes.
var epoch = time.Unix(1700000000, 0).UTC()

// tree is a file system in memory: what one layer will hold, by path without a leading slash.
type tree map[string]*node

// node is one file, directory or link. Its body is in memory or in a file of this machine.
type node struct {
	hdr  tar.Header
	body []byte
	file string
}

// resolve walks the directories of a path through symbolic links (a merged /usr) and returns where it really lies.
func (t tree) resolve(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	dir, base := path.Split(name)
	at := ""
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		at = path.Join(at, part)
		if n := t[at]; n != nil && n.hdr.Typeflag == tar.TypeSymlink {
			if path.IsAbs(n.hdr.Linkname) {
				at = strings.TrimPrefix(n.hdr.Linkname, "/")
			} else {
				at = path.Join(path.Dir(at), n.hdr.Linkname)
			}
		}
	}
	return path.Join(at, base)
}

func (t tree) put(name string, n *node) {
	name = t.resolve(name)
	if name == "" {
		return
	}
	if dir := path.Dir(name); dir != "." && t[dir] == nil {
		t.dir(dir, 0o755)
	}
	n.hdr.Name = name
	t[name] = n
}

// has says whether something is at a path, a broken link included.
func (t tree) has(name string) bool { return t[t.resolve(name)] != nil }

// dir makes a directory unless one (or a link in its place) is there.
func (t tree) dir(name string, mode int64) {
	if !t.has(name) {
		t.put(name, &node{hdr: tar.Header{Typeflag: tar.TypeDir, Mode: mode}})
	}
}

func (t tree) link(target, name string) {
	t.put(name, &node{hdr: tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}})
}

func (t tree) text(name, body string) {
	t.put(name, &node{hdr: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))}, body: []byte(body)})
}

// add puts a file of this machine.
func (t tree) add(name, file string, mode int64) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	t.put(name, &node{hdr: tar.Header{Typeflag: tar.TypeReg, Mode: mode, Size: st.Size()}, file: file})
	return nil
}

// copy takes over from another tree what a filter wants.
func (t tree) copy(from tree, want func(name string) bool) {
	for _, name := range from.names() {
		if want(name) {
			n := *from[name]
			t.put(name, &n)
		}
	}
}

// untar takes over everything of a tar stream that a filter wants.
func (t tree) untar(r io.Reader, want func(name string) bool) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if !want(name) {
			continue
		}
		n := &node{hdr: tar.Header{Typeflag: h.Typeflag, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, Linkname: h.Linkname, Size: h.Size}}
		switch h.Typeflag {
		case tar.TypeReg:
			if n.body, err = io.ReadAll(tr); err != nil {
				return err
			}
		case tar.TypeDir:
			if t.has(name) {
				continue
			}
		case tar.TypeLink:
			n.hdr.Linkname = t.resolve(h.Linkname)
		case tar.TypeSymlink:
		default:
			return fmt.Errorf("%s: entry of type %q", name, h.Typeflag)
		}
		t.put(name, n)
	}
}

func (t tree) names() []string {
	names := make([]string, 0, len(t))
	for n := range t {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// write packs the tree, hard links after what they point to.
func (t tree) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	names := t.names()
	slices.SortStableFunc(names, func(a, b string) int { return late(t[a]) - late(t[b]) })
	for _, name := range names {
		n := t[name]
		h := n.hdr
		h.Format, h.ModTime = tar.FormatPAX, epoch
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := tw.WriteHeader(&h); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := n.copyTo(tw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return tw.Close()
}

func late(n *node) int {
	if n.hdr.Typeflag == tar.TypeLink {
		return 1
	}
	return 0
}

func (n *node) copyTo(w io.Writer) error {
	if n.file == "" {
		_, err := io.Copy(w, bytes.NewReader(n.body))
		return err
	}
	f, err := os.Open(n.file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// extract writes one regular file out to this machine, to be run here.
func (t tree) extract(name, to string) error {
	n := t[t.resolve(name)]
	if n == nil || n.hdr.Typeflag != tar.TypeReg {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return os.WriteFile(to, n.body, 0o755)
}
