package volume

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names that the writer itself uses inside a volume. Readers follow name -> ..data/name -> ..<time>/name, so that
// replacing the one link ..data changes all files at once.
const (
	dataLink = "..data"
	tempLink = "..data_tmp"
)

// writeAtomic makes dir show exactly p. Where it does already nothing is touched.
func writeAtomic(dir string, p payload, gid *int64, now time.Time) error {
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err == nil && same(filepath.Join(dir, old), p) {
		return links(dir, p)
	}
	next, err := os.MkdirTemp(dir, now.UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	if err := fill(next, p, gid); err != nil {
		os.RemoveAll(next)
		return err
	}
	temp := filepath.Join(dir, tempLink)
	if err := os.Remove(temp); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Symlink(filepath.Base(next), temp); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	if err := links(dir, p); err != nil {
		return err
	}
	return sweep(dir, filepath.Base(next))
}

// same says whether the files under dir are exactly p's.
func same(dir string, p payload) bool {
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		want, ok := p[filepath.ToSlash(rel)]
		if !ok {
			n = -1 // a file too many
			return fs.SkipAll
		}
		got, err := os.ReadFile(path)
		if err == nil && bytes.Equal(got, want.data) {
			n++
		}
		return err
	})
	return err == nil && n == len(p)
}

// fill writes the files of p under dir.
func fill(dir string, p payload, gid *int64) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for name, f := range p {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return err
		}
		if err := os.Chmod(path, fs.FileMode(f.mode&0o777)); err != nil {
			return err
		}
		if f.owner != nil {
			if err := os.Chown(path, int(*f.owner), -1); err != nil {
				return err
			}
		}
	}
	return chownAll(dir, gid, true)
}

// links makes the visible names: one link for each first path element.
func links(dir string, p payload) error {
	want := map[string]bool{}
	for name := range p {
		top, _, _ := strings.Cut(name, "/")
		want[top] = true
	}
	for name := range want {
		target := filepath.Join(dataLink, name)
		path := filepath.Join(dir, name)
		if got, err := os.Readlink(path); err == nil && got == target {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && !want[e.Name()] {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes the directories of earlier writes, also those that a crash left half written.
func sweep(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..2") && e.Name() != keep {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
