package container

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plant makes files: "name": "content", "dir/": "", "link": "-> target".
func plant(t *testing.T, files map[string]string) (string, *Tree) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o750)
		case link:
			err = os.Symlink(target, at)
		default:
			err = os.WriteFile(at, []byte(content), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return dir, tree
}

// look lists a tree: "name=content", "dir/", "link->target".
func look(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.Walk(dir, func(at string, st os.FileInfo, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		switch {
		case st.IsDir():
			out = append(out, name+"/")
		case st.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(at)
			out = append(out, name+"->"+to)
			return err
		default:
			raw, err := os.ReadFile(at)
			out = append(out, name+"="+string(raw))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestCopy(t *testing.T) {
	from := map[string]string{"f": "1", "d/a": "2", "d/b/c": "3", "d/l": "-> a", "lf": "-> /f", "ld": "-> d", "out": "-> /../../../etc"}
	for _, c := range []struct {
		src, dst string
		to       map[string]string
		o        CopyOptions
		want     string // the tree, or after "!" a part of the error
	}{
		{src: "f", dst: "/", want: "f=1"},
		{src: "/f", dst: "/g", want: "g=1"},
		{src: "f", dst: "/d/", to: map[string]string{"d/": ""}, want: "d/ d/f=1"},
		{src: "f", dst: "/g", to: map[string]string{"g": "old"}, want: "g=1"},
		{src: "f", dst: "/g/", want: "!there is no such directory"},
		{src: "f", dst: "/g/", to: map[string]string{"g": "old"}, want: "!it is no directory"},
		{src: "f", dst: "/x/y", want: "!there is no directory /x"},
		{src: "d", dst: "/new", want: "new/ new/a=2 new/b/ new/b/c=3 new/l->a"},
		{src: "d", dst: "/old", to: map[string]string{"old/": ""}, want: "old/ old/d/ old/d/a=2 old/d/b/ old/d/b/c=3 old/d/l->a"},
		{src: "d/.", dst: "/old", to: map[string]string{"old/a": "0", "old/z": "9"}, want: "old/ old/a=2 old/b/ old/b/c=3 old/l->a old/z=9"},
		{src: "d", dst: "/g", to: map[string]string{"g": "old"}, want: "!a file is there"},
		{src: "f", dst: "/", to: map[string]string{"f/": ""}, want: "!a directory is there"},
		{src: "d/.", dst: "/", to: map[string]string{"b": "file"}, want: "!file exists"},
		{src: "lf", dst: "/", want: "lf->/f"},
		{src: "lf", dst: "/", o: CopyOptions{Follow: true}, want: "lf=1"},
		{src: "ld/", dst: "/", want: "ld/ ld/a=2 ld/b/ ld/b/c=3 ld/l->a"},
		{src: "ld/b", dst: "/", want: "b/ b/c=3"},
		{src: "nothing", dst: "/", want: "!no such file"},
		{src: "f/", dst: "/", want: "!it is no directory"},
		{src: "out/passwd", dst: "/", want: "!no such file"}, // the tree has no /etc
		{src: "f", dst: "/var/run/x", to: map[string]string{"run/": "", "var/run": "-> /run"}, want: "run/ run/x=1 var/ var/run->/run"},
		{src: "f", dst: "/l", to: map[string]string{"l": "-> /t", "t": "old"}, want: "l->/t t=1"},
		{src: "f", dst: "/l", to: map[string]string{"l": "-> l"}, want: "!too many levels"},
		{src: "/", dst: "/all", to: map[string]string{"all/": ""}, want: "all/ all/d/ all/d/a=2 all/d/b/ all/d/b/c=3 all/d/l->a all/f=1 all/ld->d all/lf->/f all/out->/../../../etc"},
	} {
		_, a := plant(t, from)
		dir, b := plant(t, c.to)
		err := Copy(t.Context(), a, c.src, b, c.dst, c.o)
		wrong, fails := strings.CutPrefix(c.want, "!")
		switch got := look(t, dir); {
		case fails && (err == nil || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s to %s: %v, want %q", c.src, c.dst, err, wrong)
		case !fails && (err != nil || got != c.want):
			t.Errorf("%s to %s: %s, %v, want %s", c.src, c.dst, got, err, c.want)
		}
	}
}

// TestCopyKeeps: modes always, owners where asked, hard links; through an archive too.
func TestCopyKeeps(t *testing.T) {
	dir, from := plant(t, map[string]string{"d/a": "1"})
	a := filepath.Join(dir, "d/a")
	for _, err := range []error{os.Link(a, filepath.Join(dir, "d/b")), os.Chown(a, 5, 6), os.Chmod(a, os.ModeSetuid|0o711)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, owners := range []bool{false, true} {
		out, to := plant(t, nil)
		var archive bytes.Buffer
		if err := Pack(t.Context(), &archive, from, "d", CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := Unpack(t.Context(), &archive, to, "/", CopyOptions{Owners: owners}); err != nil {
			t.Fatal(err)
		}
		x, err1 := os.Stat(filepath.Join(out, "d/a"))
		y, err2 := os.Stat(filepath.Join(out, "d/b"))
		if err1 != nil || err2 != nil || !os.SameFile(x, y) || x.Mode() != os.ModeSetuid|0o711 {
			t.Errorf("%v %v: %v, %v", err1, err2, x.Mode(), os.SameFile(x, y))
		}
		if want, got := map[bool]string{true: "5 6", false: "0 0"}[owners], ownerOf(x); got != want {
			t.Errorf("owner %s, want %s", got, want)
		}
	}
}

// TestUnpackStaysInside: an archive that climbs, by name or by its own links, gets nowhere.
func TestUnpackStaysInside(t *testing.T) {
	for name, files := range map[string][][2]string{
		"climbs":       {{"../x", "1"}},
		"through link": {{"l", "-> /etc"}, {"l/x", "1"}},
		"up link":      {{"l", "-> .."}, {"l/x", "1"}},
	} {
		out, to := plant(t, map[string]string{"in/": ""})
		err := Unpack(t.Context(), archiveOf(t, files), to, "/in", CopyOptions{})
		if _, missing := os.Lstat(filepath.Join(out, "x")); err == nil || missing == nil {
			t.Errorf("%s: %v, %s", name, err, look(t, out))
		}
	}
	if _, err := os.Lstat("/etc/x"); err == nil {
		t.Fatal("/etc/x was made")
	}
}

func ownerOf(st os.FileInfo) string {
	s := sysOf(st)
	return fmt.Sprint(s.Uid, s.Gid)
}
