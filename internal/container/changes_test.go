package container

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestChanges lets a real overlay write what is compared and packed.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	sh := func(script string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	sh("mkdir -p low1/etc low1/gone/deep low1/again low2 upper work m; echo 1 >low1/etc/keep; echo 1 >low1/etc/edit; echo 1 >low1/gone/deep/x; echo 1 >low1/again/old; echo 1 >low1/again/same; echo 1 >low1/over; ln -s /etc/keep low1/link")
	for _, o := range []struct{ lower, upper string }{{at("low1"), at("low2")}, {at("low2") + ":" + at("low1"), at("upper")}} {
		if err := unix.Mount("overlay", at("m"), "overlay", 0, "index=off,redirect_dir=off,lowerdir="+o.lower+",upperdir="+o.upper+",workdir="+at("work")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at("m"), unix.MNT_DETACH) })
		if o.upper == at("low2") {
			sh("rm m/over; echo 2 >m/second")
		} else {
			sh(`echo 2 >>m/etc/edit; echo n >m/etc/new; rm -r m/gone; rm -r m/again; mkdir m/again; echo n >m/again/same; echo n >m/again/new
rm m/link; mkdir m/link; echo n >m/link/in; ln m/etc/new m/hard; mkfifo m/pipe; echo t >m/tmp; rm m/tmp; echo n >m/over; touch m/etc/cap`)
			if err := unix.Setxattr(at("m/etc/cap"), "user.kept", []byte("v"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
				t.Fatal(err)
			}
		}
		if err := unix.Unmount(at("m"), 0); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := Changes(t.Context(), at("upper"), []string{at("low2"), at("low1")})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, c := range changes {
		got += c.Kind + " " + c.Path + "\n"
	}
	want := "C /again\nA /again/new\nD /again/old\nC /again/same\nC /etc\nA /etc/cap\nC /etc/edit\nA /etc/new\nD /gone\nA /hard\nC /link\nA /link/in\nA /over\nA /pipe\n"
	if got != want {
		t.Errorf("changes:\n%swant:\n%s", got, want)
	}
	var b bytes.Buffer
	if err := PackLayer(t.Context(), &b, at("upper")); err != nil {
		t.Fatal(err)
	}
	got = listTar(t, &b)
	want = "again/ d\nagain/.wh..wh..opq - 0\nagain/new - 2\nagain/same - 2\netc/ d\netc/cap - 0 user.kept=v\netc/edit - 4\netc/new = hard\n.wh.gone - 0\nhard - 2\nlink/ d\nlink/in - 2\nover - 2\npipe p\n"
	if got = strings.Replace(got, "etc/new - 2\n", "etc/new = hard\n", 1); strings.Contains(got, "hard = etc/new\n") {
		got = strings.Replace(got, "hard = etc/new\n", "hard - 2\n", 1)
	}
	got = strings.Replace(got, "link/.wh..wh..opq - 0\n", "", 1) // a kernel may hide what a link never had
	if got != want {
		t.Errorf("layer:\n%swant:\n%s", got, want)
	}
	sh("touch upper/.wh.x")
	if err := PackLayer(t.Context(), io.Discard, at("upper")); err == nil || !strings.Contains(err.Error(), "cannot be in an image") {
		t.Errorf("a name that means something else: %v", err)
	}
}

func listTar(t *testing.T, r io.Reader) (out string) {
	t.Helper()
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out += h.Name
		switch h.Typeflag {
		case tar.TypeReg:
			out += fmt.Sprintf(" - %d", h.Size)
		case tar.TypeLink:
			out += " = " + h.Linkname
		case tar.TypeDir:
			out += " d"
		case tar.TypeFifo:
			out += " p"
		}
		for k, v := range h.PAXRecords {
			if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				out += " " + name + "=" + v
			}
		}
		out += "\n"
	}
}

// TestChangesAreHeld: a directory that becomes a link while it is read leads nowhere else.
func TestChangesAreHeld(t *testing.T) {
	upper := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(upper, "out")); err != nil {
		t.Fatal(err)
	}
	changes, err := Changes(t.Context(), upper, nil)
	if err != nil || len(changes) != 1 || changes[0] != (Change{"A", "/out"}) {
		t.Errorf("%v, %v", changes, err)
	}
}
