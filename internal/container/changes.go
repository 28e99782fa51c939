package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Change is one difference between a container's files and its image's.
type Change struct {
	Kind string // "A" added, "C" changed, "D" deleted
	Path string // from the container's root
}

// Changes compares what a container wrote, the overlay's upper directory, with the layers below it, the topmost first. Of
// one that runs, what changes meanwhile is seen before or after.
func Changes(ctx context.Context, upper string, lower []string) ([]Change, error) {
	var out []Change
	err := walkLayer(ctx, upper, func(root *os.Root, name string, st fs.FileInfo) error {
		_, was := below(lower, name)
		kind := "A"
		switch {
		case isWhiteout(st) && !was:
			return nil
		case isWhiteout(st):
			kind = "D"
		case was:
			kind = "C"
		}
		out = append(out, Change{kind, "/" + name})
		if !was || !st.IsDir() || !isOpaque(upper, name) {
			return nil
		}
		hidden, err := listBelow(lower, name)
		for _, child := range hidden {
			if _, err := root.Lstat(path.Join(name, child)); errors.Is(err, fs.ErrNotExist) {
				out = append(out, Change{"D", "/" + path.Join(name, child)})
			}
		}
		return err
	})
	sort.SliceStable(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, err
}

// walkLayer calls f with everything in an overlay's upper directory, parents first. A container that writes there meanwhile
// cannot lead it elsewhere.
func walkLayer(ctx context.Context, upper string, f func(root *os.Root, name string, st fs.FileInfo) error) error {
	root, err := os.OpenRoot(upper)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		st, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st.IsDir() && overlayAttr(filepath.Join(upper, name), "redirect") != "" {
			return fmt.Errorf("/%s was renamed, and the kernel's overlay keeps that in a way of its own (redirect_dir); copy the directory in the container instead", name)
		}
		return f(root, name, st)
	})
}

// isWhiteout reports whether it stands for something that was deleted.
func isWhiteout(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && st.Mode()&fs.ModeCharDevice != 0 && s.Rdev == 0
}

// isOpaque reports whether a directory of a layer hides what is below it.
func isOpaque(layer, name string) bool {
	return overlayAttr(filepath.Join(layer, name), "opaque") == "y"
}

func overlayAttr(file, name string) string {
	var b [4096]byte
	n, err := unix.Lgetxattr(file, "trusted.overlay."+name, b[:])
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// below finds what is at name in the union of layers.
func below(layers []string, name string) (st fs.FileInfo, found bool) {
	for _, l := range layers {
		st, hides := inLayer(l, name)
		if st != nil || hides {
			return st, st != nil
		}
	}
	return nil, false
}

// inLayer looks at one layer: what it has at name, or whether it hides what layers below it have there.
func inLayer(layer, name string) (st fs.FileInfo, hides bool) {
	at := layer
	for part := range strings.SplitSeq(name, "/") {
		if st != nil && isOpaque(at, "") {
			hides = true
		}
		at = filepath.Join(at, part)
		var err error
		if st, err = os.Lstat(at); err != nil {
			return nil, hides || !errors.Is(err, fs.ErrNotExist) // a file on the way hides too
		}
		if isWhiteout(st) {
			return nil, true
		}
		if st.Mode()&fs.ModeSymlink != 0 && at != filepath.Join(layer, name) {
			return nil, true
		}
	}
	return st, hides
}

// listBelow are the names that the union of layers has in a directory.
func listBelow(layers []string, dir string) (names []string, err error) {
	seen := map[string]bool{}
	for _, l := range layers {
		st, hides := inLayer(l, dir)
		if st != nil && st.IsDir() {
			entries, err := os.ReadDir(filepath.Join(l, dir))
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if _, there := below(layers, path.Join(dir, e.Name())); there && !seen[e.Name()] {
					seen[e.Name()] = true
					names = append(names, e.Name())
				}
			}
			hides = hides || isOpaque(l, dir)
		}
		if hides || st != nil && !st.IsDir() {
			break
		}
	}
	return names, nil
}
