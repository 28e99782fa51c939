package images

import (
	"archive/tar"
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestTreeFollowsMergedUsr(t *testing.T) {
	root := tree{}
	root.dir("usr/bin", 0o755)
	root.link("usr/bin", "bin")
	root.text("bin/sh", "#!")
	if got := root.names(); !slices.Equal(got, []string{"bin", "usr", "usr/bin", "usr/bin/sh"}) {
		t.Errorf("got %q", got)
	}
	if !root.has("/bin/sh") || root.has("bin/bash") {
		t.Error("has does not look through links")
	}
}

func TestTreeSurvivesTar(t *testing.T) {
	a, b := tree{}, tree{}
	a.text("etc/hosts", "127.0.0.1 localhost\n")
	a.put("etc/a-hard-link", &node{hdr: tar.Header{Typeflag: tar.TypeLink, Linkname: "etc/hosts", Mode: 0o644}})
	a.link("hosts", "etc/soft")
	var first, second bytes.Buffer
	if err := a.write(&first); err != nil {
		t.Fatal(err)
	}
	if err := b.untar(bytes.NewReader(first.Bytes()), func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := b.write(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("not the same: %q and %q", a.names(), b.names())
	}
}

func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, img := range table {
		if seen[img.ref] || !strings.Contains(img.ref, ":") {
			t.Errorf("%s: named twice or without a tag", img.ref)
		}
		seen[img.ref] = true
		for _, l := range img.layers {
			if recipes[l] == nil {
				t.Errorf("%s: no recipe for layer %s", img.ref, l)
			}
		}
	}
}
