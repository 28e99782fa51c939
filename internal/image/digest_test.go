package image

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// Images whose every part is named by another algorithm live like the others: loaded, found, saved, pulled, pruned, kept
// over a restart.
func TestDigestsOfOtherAlgorithms(t *testing.T) {
	for _, by := range []digest.Algorithm{digest.SHA384, digest.SHA512} {
		m := buildBy(t, by, nil, gz, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", strings.Repeat("2", 300_000))))
		s := open(t)
		i := load(t, s, m.ociArchive(t, "example.org/app:1"))
		if i.ID != m.config.Digest.String() || len(i.Layers) != 2 {
			t.Fatalf("%+v", i)
		}
		s, err := Open(s.cfg)
		ok(t, err)
		for _, ref := range []string{"example.org/app:1", "example.org/app@" + m.root.Digest.String(), i.ID, i.ID[7:], i.ID[7:27]} {
			if got, found := s.Resolve(ref); !found || got.ID != i.ID {
				t.Errorf("%s: not found", ref)
			}
		}
		var saved bytes.Buffer
		ok(t, s.Save(t.Context(), &saved, OCIArchive, "example.org/app:1"))
		if again := load(t, open(t), saved.Bytes()); again.ID != i.ID || again.Digests[0] != i.Digests[0] {
			t.Errorf("saved and loaded it is %+v", again)
		}
		ok(t, s.Remove(t.Context(), i.ID, RemoveOptions{}))
		if left := tree(t, s.cfg.Dir); left != "" {
			t.Errorf("%s left: %s", by, left)
		}
		addr := fake(t, map[string]*made{"a:1": m}, nil)
		for _, ref := range []string{"/a@" + m.root.Digest.String(), "/a:1"} {
			if i, err = s.Pull(t.Context(), PullRequest{Ref: addr + ref}); err != nil || i.ID != m.config.Digest.String() {
				t.Errorf("%s: %+v, %v", ref, i, err)
			}
		}
		lie := m.blobs[m.config.Digest]
		m.blobs[m.config.Digest] = append([]byte(" "), lie...)
		_, err = open(t).Pull(t.Context(), PullRequest{Ref: addr + "/a:1"})
		wantError(t, err, "does not match its digest")
	}
}

// What docker load takes and manifests have no word for is kept in a form that they have.
func TestLayersPackedOddly(t *testing.T) {
	l := layer(t, file("a", "1"))
	config := fmt.Sprintf(`{"os":"linux","architecture":%q,"rootfs":{"type":"layers","diff_ids":[%q]}}`, runtime.GOARCH, digest.FromBytes(l))
	for _, program := range []string{"bzip2", "xz"} {
		archive := layer(t, file("l.tar", string(packed(program)(t, l))), file("c.json", config),
			file("manifest.json", `[{"Config":"c.json","RepoTags":["odd:1"],"Layers":["l.tar"]}]`))
		s := open(t)
		load(t, s, packed(program)(t, archive))
		c, release, err := s.content("odd:1")
		ok(t, err)
		release()
		if got := c.doc.Layers[0]; got.Digest != digest.FromBytes(l) || !strings.HasSuffix(got.MediaType, ".tar") {
			t.Errorf("%s: the layer is %+v", program, got)
		}
	}
}
