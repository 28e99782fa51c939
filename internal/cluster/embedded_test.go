package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"
)

// TestEmbedded needs the programs that `make embedded` packs, as every build of minato does.
func TestEmbedded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"minato-shim", "minato-hello", "minato-build"} {
		p, err := embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.unpack(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.sum {
			t.Errorf("%s: the content is %x, the name says %s", name, sum, p.sum)
		}
		if size, err := p.size(); err != nil || size != int64(len(b)) {
			t.Errorf("%s: the header says %d bytes (%v), it has %d", name, size, err, len(b))
		}
		path, err := extract(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 10); err != nil {
			t.Fatal(err)
		}
		again, err := extract(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(again); err != nil || again != path || st.Size() != int64(len(b)) || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: a damaged file was not mended: %v, %v", again, st, err)
		}
	}
	if _, err := embedded("minato-nothing"); err == nil {
		t.Error("a program that was not built in was found")
	}
}
