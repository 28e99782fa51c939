package kit

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/run"
)

// vault keeps the cache's databases out of the disk's way. BuildKit forces each of its hundreds of small transactions to
// the disk, which is most of the time of a short build, and the cache is not worth that: what it loses can be built
// again. So they live in memory (a tmpfs in the run directory) while a build runs and are written back at its end.
//
//	closed          State has the databases; no mark
//	open            State has the mark, which names this opening; so has the run directory, with the databases
//	killed          as open: the next build finds both marks equal and goes on from the run directory
//	machine ended   State has the mark and the run directory does not: the cache may be anything, and begins anew
//
// What steps wrote reaches the disk before the mark goes, and the mark before the cache changes.
type vault struct {
	place  build.Place
	before string       // what stamp said at the opening
	marked func() error // returns when the mark is on the disk, which must be before the cache changes
}

// databases are those that are kept; history.db is only there because BuildKit wants one.
var databases = []string{"cache.db", "containerdmeta.db", "metadata_v2.db", "snapshots.db"}

const (
	markFile   = "open"
	layoutFile = "layout"
	layout     = "2" // changes where an older cache cannot be read
	dbDir      = "db"
	keptDir    = "databases"
	fresh      = ".new"
)

func (v *vault) db(name string) string   { return filepath.Join(v.place.Run, dbDir, name) }
func (v *vault) kept(name string) string { return filepath.Join(v.place.State, keptDir, name) }
func (v *vault) mark() string            { return filepath.Join(v.place.State, markFile) }

// open brings the databases to where the build works on them. told is called where the cache begins anew.
func (v *vault) open(ctx context.Context, told func(why string)) error {
	if err := v.settle(ctx, told); err != nil {
		return err
	}
	if err := os.MkdirAll(v.db(""), 0o700); err != nil {
		return err
	}
	if err := unix.Mount("minato-build", v.db(""), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a tmpfs for the build cache's databases: %w", err)
	}
	if err := os.MkdirAll(v.kept(""), 0o700); err != nil {
		return err
	}
	for _, name := range databases {
		if err := copyFile(v.kept(name), v.db(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(v.place.State, layoutFile), []byte(layout), 0o600); err != nil {
		return err
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	mark := []byte(boot + " " + rand.Text())
	if err := os.WriteFile(v.db(markFile), mark, 0o600); err != nil {
		return err
	}
	v.before = v.stamp()
	// The disk has it while everything else is being opened.
	scope := run.NewScope(context.WithoutCancel(ctx))
	scope.Go("mark", func(context.Context) error { return writeSynced(v.mark(), mark) })
	v.marked = sync.OnceValue(scope.Wait)
	return nil
}

// settle decides what an earlier opening has left.
func (v *vault) settle(ctx context.Context, told func(why string)) error {
	have, err := os.ReadFile(filepath.Join(v.place.State, layoutFile))
	if err == nil && string(have) != layout {
		told("another version of minato made it")
		return v.wipe()
	}
	mark, err := os.ReadFile(v.mark())
	if errors.Is(err, os.ErrNotExist) {
		return v.drop()
	}
	if err != nil {
		return err
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	own, err := os.ReadFile(v.db(markFile))
	if err == nil && bytes.Equal(own, mark) && strings.HasPrefix(string(mark), boot+" ") {
		return v.save(ctx, true)
	}
	told("the machine or the cluster ended while an image was being built")
	return errors.Join(v.wipe(), v.drop())
}

// grew reports whether steps, base images or layers came or went since the opening.
func (v *vault) grew() bool { return v.before != v.stamp() }

// close writes the databases back. Who uses them has closed them.
func (v *vault) close(ctx context.Context) error {
	return errors.Join(v.marked(), v.save(ctx, v.grew()))
}

// save ends an opening: first everything is on the disk, then it has its name, then the mark goes. Where no snapshot and no
// blob came, that is the databases alone: of the copy of the context a build writes the files that it finds to have another
// size or time than the user's, those too whose bytes did not reach the disk.
func (v *vault) save(ctx context.Context, all bool) error {
	var saved []string
	for _, name := range databases {
		err := copyFile(v.db(name), v.kept(name)+fresh)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep the build cache: %w", err)
		}
		saved = append(saved, name)
	}
	dir, err := os.Open(v.kept(""))
	if err != nil {
		return err
	}
	defer dir.Close()
	if all {
		err = os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd())))
	} else {
		err = v.force(ctx, saved)
	}
	if err != nil {
		return fmt.Errorf("keep the build cache: %w", err)
	}
	for _, name := range saved {
		if err := os.Rename(v.kept(name)+fresh, v.kept(name)); err != nil {
			return err
		}
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	if err := os.Remove(v.mark()); err != nil {
		return err
	}
	return v.drop()
}

// force has the disk take the new databases, all together: one turn of its journal does for them.
func (v *vault) force(ctx context.Context, names []string) error {
	scope := run.NewScope(context.WithoutCancel(ctx))
	for _, name := range names {
		scope.Go(name, func(context.Context) error {
			f, err := os.Open(v.kept(name) + fresh)
			if err != nil {
				return err
			}
			return errors.Join(f.Sync(), f.Close())
		})
	}
	return scope.Wait()
}

// drop forgets the databases in memory.
func (v *vault) drop() error {
	for {
		err := unix.Unmount(v.db(""), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return os.RemoveAll(v.db(""))
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", v.db(""), err)
		}
	}
}

// stamp changes when a snapshot or a blob is added or removed. Blobs are told by their names: an image's configuration is
// written by each build, and is the same when nothing has changed.
func (v *vault) stamp() string {
	var out strings.Builder
	glob := func(pattern string, f func(path string)) {
		found, _ := filepath.Glob(filepath.Join(v.place.State, pattern)) // the pattern is right
		for _, path := range found {
			f(path)
		}
	}
	glob("*/snapshots/snapshots", func(path string) {
		if st, err := os.Stat(path); err == nil {
			fmt.Fprintln(&out, path, st.ModTime().UnixNano())
		}
	})
	glob("*/content/blobs/sha256/*", func(path string) { fmt.Fprintln(&out, path) })
	return out.String()
}

// wipe empties the cache; the lock stays, for it is held.
func (v *vault) wipe() error {
	entries, err := os.ReadDir(v.place.State)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockFile || e.Name() == markFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(v.place.State, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Remove(v.mark()); err != nil && !errors.Is(err, os.ErrNotExist) { // last: a wipe that is cut short is done again
		return err
	}
	return nil
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// copyFile makes to a copy of from. Databases are large against a usual copying buffer.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
	return errors.Join(err, out.Close())
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
