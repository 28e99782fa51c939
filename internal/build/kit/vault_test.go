package kit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/build"
)

// vaultAt is a vault whose mounts end with the test, and what it says when it begins anew.
func vaultAt(t *testing.T) (v *vault, said *[]string) {
	t.Helper()
	dir := t.TempDir()
	v = &vault{place: build.Place{State: filepath.Join(dir, "state"), Run: filepath.Join(dir, "run")}}
	if err := os.MkdirAll(v.place.State, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.drop(); err != nil {
			t.Error(err)
		}
	})
	return v, new([]string)
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVault tells what an opening finds after each way in which the one before can have ended.
func TestVault(t *testing.T) {
	const db, snapshot = "cache.db", "overlayfs/snapshots/snapshots/1/fs/file"
	for _, c := range []struct {
		name string
		end  func(t *testing.T, v *vault)
		want string // what the database says then; "": the cache is empty
	}{
		{"closed", func(t *testing.T, v *vault) {
			if err := v.close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "new"},
		{"killed", func(*testing.T, *vault) {}, "new"},
		{"memory gone", func(t *testing.T, v *vault) {
			if err := unix.Unmount(v.db(""), unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"another boot", func(t *testing.T, v *vault) {
			for _, at := range []string{v.mark(), v.db(markFile)} {
				put(t, at, "0000-0000 same")
			}
		}, ""},
		{"another opening's memory", func(t *testing.T, v *vault) { put(t, v.db(markFile), "other") }, ""},
		{"another layout", func(t *testing.T, v *vault) {
			if err := v.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(v.place.State, layoutFile), "1\n")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, said := vaultAt(t)
			tell := func(why string) { *said = append(*said, why) }
			put(t, filepath.Join(v.place.State, lockFile), "")
			if err := v.open(t.Context(), tell); err != nil {
				t.Fatal(err)
			}
			put(t, v.db(db), "old")
			if err := v.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := v.open(t.Context(), tell); err != nil {
				t.Fatal(err)
			}
			if err := v.marked(); err != nil { // as who changes the cache does first
				t.Fatal(err)
			}
			put(t, v.db(db), "new")
			put(t, filepath.Join(v.place.State, snapshot), "text")
			c.end(t, v)
			if err := v.open(t.Context(), tell); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(v.db(db))
			if string(got) != c.want || (err != nil) != (c.want == "") {
				t.Errorf("the database says %q (%v), want %q", got, err, c.want)
			}
			_, err = os.Stat(filepath.Join(v.place.State, snapshot))
			if (err == nil) != (c.want != "") || (len(*said) == 0) != (c.want != "") {
				t.Errorf("snapshot: %v, said %q", err, *said)
			}
			if err := v.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadDir(v.place.State)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.Name() == markFile }) {
				t.Errorf("closed, and the mark is there: %v", left)
			}
		})
	}
}
