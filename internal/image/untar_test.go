package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

func unpackInto(t *testing.T, entries ...entry) (string, []string, error) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "fs")
	ok(t, os.Mkdir(root, 0o755))
	implied, _, err := unpackTar(t.Context(), root, bytes.NewReader(layer(t, entries...)))
	return root, implied, err
}

func TestUntarKeepsWhatTheArchiveSays(t *testing.T) {
	when := time.Unix(1_700_000_000, 0)
	suid := file("bin/su", "x")
	suid.Mode, suid.Uid, suid.Gid, suid.ModTime = 0o4755, 12, 34, when
	suid.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "hi", "SCHILY.xattr.trusted.overlay.redirect": "/etc"}
	bin := dir("bin")
	bin.ModTime, bin.Mode = when, 0o1750
	root, implied, err := unpackInto(t, bin, suid, link(tar.TypeLink, "bin/su2", "/bin/su"), link(tar.TypeSymlink, "sh", "/bin/su"),
		entry{tar.Header{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o600}, ""}, file("a/b/c", "deep"), file("./bin/../top", "t"),
		file("bin/su-old", "1"), file("bin/su-old", "22"))
	ok(t, err)
	var st, st2 unix.Stat_t
	ok(t, unix.Lstat(root+"/bin/su", &st))
	ok(t, unix.Lstat(root+"/bin/su2", &st2))
	if st.Mode&0o7777 != 0o4755 || st.Uid != 12 || st.Gid != 34 || st.Mtim.Sec != when.Unix() || st.Ino != st2.Ino {
		t.Errorf("su: %+v", st)
	}
	ok(t, unix.Lstat(root+"/bin", &st))
	if st.Mode&0o7777 != 0o1750 || st.Mtim.Sec != when.Unix() {
		t.Errorf("bin: mode %o, time %d", st.Mode, st.Mtim.Sec)
	}
	buf := make([]byte, 64)
	if n, err := unix.Lgetxattr(root+"/bin/su", "user.note", buf); err != nil || string(buf[:n]) != "hi" {
		t.Errorf("xattr: %v", err)
	}
	if _, err := unix.Lgetxattr(root+"/bin/su", "trusted.overlay.redirect", buf); err == nil {
		t.Error("overlayfs's own attribute was taken from the archive")
	}
	if to, err := os.Readlink(root + "/sh"); err != nil || to != "/bin/su" {
		t.Errorf("symlink: %s %v", to, err)
	}
	if got := strings.Join(implied, " "); got != "a a/b" {
		t.Errorf("implied: %s", got)
	}
	if b, err := os.ReadFile(root + "/bin/su-old"); err != nil || string(b) != "22" {
		t.Errorf("the later entry does not win: %s %v", b, err)
	}
	if _, err := os.Stat(root + "/top"); err != nil {
		t.Error(err)
	}
}

func isWhiteout(t *testing.T, at string) bool {
	t.Helper()
	var st unix.Stat_t
	err := unix.Lstat(at, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

func isOpaque(at string) bool {
	buf := make([]byte, 8)
	n, err := unix.Lgetxattr(at, "trusted.overlay.opaque", buf)
	return err == nil && string(buf[:n]) == "y"
}

func TestWhiteouts(t *testing.T) {
	root, _, err := unpackInto(t, file(".wh.gone", ""), dir("open"), file("open/.wh..wh..opq", ""), file(".wh..wh.plnk", ""),
		file("late", "mine"), file(".wh.late", ""),
		file(".wh.early", ""), dir("early"), file("early/x", "mine"),
		dir("both"), file(".wh.both", ""),
		file(".wh.file", ""), file("file", "mine"))
	ok(t, err)
	if !isWhiteout(t, root+"/gone") || !isOpaque(root+"/open") {
		t.Error("plain whiteouts are missing")
	}
	if b, _ := os.ReadFile(root + "/late"); string(b) != "mine" {
		t.Error("a whiteout hid the layer's own file")
	}
	if !isOpaque(root+"/early") || !isOpaque(root+"/both") {
		t.Error("a replaced directory is not opaque")
	}
	if b, _ := os.ReadFile(root + "/file"); string(b) != "mine" {
		t.Error("a whiteout hid the layer's own later file")
	}
	if _, err := os.Lstat(root + "/.wh..wh.plnk"); err == nil {
		t.Error("aufs's bookkeeping was unpacked")
	}
}

func TestUntarStaysInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	ok(t, os.Mkdir(outside, 0o755))
	ok(t, os.WriteFile(outside+"/victim", []byte("safe"), 0o600))
	for what, entries := range map[string][]entry{
		"dots":               {file("../../../../../../../../"+outside+"/new", "bad")},
		"link then file":     {link(tar.TypeSymlink, "l", outside), file("l/new", "bad")},
		"link up":            {link(tar.TypeSymlink, "l", "../../../../../../.."), file("l"+outside+"/new", "bad")},
		"overwrite by link":  {link(tar.TypeSymlink, "victim", outside+"/victim"), file("victim", "bad")},
		"hard link":          {link(tar.TypeLink, "h", "../../../../../.."+outside+"/victim"), file("h", "bad")},
		"hard link by link":  {link(tar.TypeSymlink, "l", outside), link(tar.TypeLink, "h", "l/victim")},
		"whiteout by link":   {link(tar.TypeSymlink, "l", outside), file("l/.wh.victim", "")},
		"opaque by link":     {link(tar.TypeSymlink, "l", outside), file("l/.wh..wh..opq", "")},
		"whiteout of dots":   {file(".wh...", "")},
		"directory for link": {link(tar.TypeSymlink, "d", outside), entry{tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o777}, ""}, file("d/new", "bad")},
		"magic link":         {link(tar.TypeSymlink, "p", "/proc/self/cwd"), file("p/new", "bad")},
		"root as file":       {file(".", "bad")},
		"link to root":       {link(tar.TypeLink, "h", "/")},
		"implied by link":    {link(tar.TypeSymlink, "l", outside), file("l/deep/new", "bad")},
	} {
		root, _, err := unpackInto(t, entries...)
		if err != nil && !errors.Is(err, ErrLayer) {
			t.Errorf("%s: error of another kind: %v", what, err)
		}
		got, err := os.ReadDir(outside)
		ok(t, err)
		b, err := os.ReadFile(outside + "/victim")
		if len(got) != 1 || err != nil || string(b) != "safe" || isOpaque(outside) {
			t.Fatalf("%s: reached out of %s: %v %q", what, root, got, b)
		}
	}
}

// TestUntarRefusesWhatCannotFit: 1 KiB of archive that says it is 4 EiB of nothing is not written out.
func TestUntarRefusesWhatCannotFit(t *testing.T) {
	h := make([]byte, 512)
	copy(h, "void")
	copy(h[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00        S") // mode, ids, size, time, sum, sparse
	copy(h[257:], "ustar  \x00")
	size := []byte{0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0} // binary, as sizes beyond octal are
	copy(h[386:], size)                                      // the one piece of data, empty, at the very end
	copy(h[398:], "00000000000\x00")
	copy(h[483:], size)
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	if _, err := tar.NewReader(bytes.NewReader(append(h, make([]byte, 1024)...))).Next(); err != nil {
		t.Fatalf("the archive is not one: %v", err)
	}
	root := t.TempDir()
	_, _, err := unpackTar(t.Context(), root, bytes.NewReader(append(h, make([]byte, 1024)...)))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "are free") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestBombsLeaveRoom: an archive of a few KiB that holds more than the disk, in small files and in large ones, or says so,
// ends while there is still room for others, and nothing of it stays.
func TestBombsLeaveRoom(t *testing.T) {
	dir := t.TempDir()
	ok(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s, err := Open(Config{Dir: dir})
	ok(t, err)
	for what, size := range map[string]int{"small": 100 << 10, "large": 3 << 20} {
		var files []entry
		for n := 0; n < 40<<20; n += size {
			files = append(files, file(fmt.Sprint("f", n), strings.Repeat("\x00", size)))
		}
		_, err := s.Load(t.Context(), bytes.NewReader(build(t, nil, gz, layer(t, files...)).ociArchive(t, "")), LoadOptions{})
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "are kept free") {
			t.Errorf("%s files: %v", what, err)
		}
		if left := tree(t, dir); left != "" {
			t.Errorf("%s files left: %s", what, left)
		}
	}
	m := build(t, nil, gz, layer(t, file("a", "1")))
	big := build(t, func(_ *ocispec.Image, x *ocispec.Manifest) { x.Layers[0].Size = 1 << 40 }, gz, layer(t, file("a", "1")))
	addr := fake(t, map[string]*made{"a:1": big, "b:1": m}, nil)
	_, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
	wantError(t, err, "are kept free")
	_, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/b:1"})
	ok(t, err)
}

func TestBrokenArchives(t *testing.T) {
	good := layer(t, dir("d"), file("d/f", strings.Repeat("x", 2000)))
	for n := 1; n < len(good)-1024; n += 97 {
		root := t.TempDir()
		_, _, err := unpackTar(t.Context(), root, bytes.NewReader(good[:n]))
		if n%512 != 0 && err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
	}
}

func FuzzUntar(f *testing.F) {
	f.Add(layer(f, dir("d"), file("d/f", "x"), link(tar.TypeSymlink, "l", "/etc"), file("l/x", "y"), file(".wh.d", "")))
	f.Add(layer(f, link(tar.TypeSymlink, "a", "b"), link(tar.TypeSymlink, "b", "a"), file("a/x", "y"), link(tar.TypeLink, "h", "a")))
	f.Fuzz(func(t *testing.T, b []byte) {
		base := t.TempDir()
		root := filepath.Join(base, "x", "fs")
		ok(t, os.MkdirAll(root, 0o755))
		_, _, _ = unpackTar(t.Context(), root, bytes.NewReader(b))
		for at, want := range map[string]int{base: 1, filepath.Dir(root): 1} {
			if got, err := os.ReadDir(at); err != nil || len(got) != want {
				t.Fatalf("the archive reached out: %v %v", got, err)
			}
		}
	})
}
