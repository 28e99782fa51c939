package kubelet

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/kubelet/seen"
)

func TestFoundLogs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"default_left_u1", "default_volumes_u2", "lost+found"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found := map[types.UID]seen.Identity{"u2": {UID: "u2"}, "u3": {UID: "u3", Namespace: "a", Name: "b"}}
	if err := foundLogs(dir, found); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[types.UID]string{"u1": "default/left", "u2": "default/volumes", "u3": "a/b"} {
		if id := found[uid]; id.UID != uid || id.Namespace+"/"+id.Name != want {
			t.Errorf("%s is %+v, want %s", uid, id, want)
		}
	}
	if err := foundLogs(filepath.Join(dir, "none"), found); err != nil || len(found) != 3 {
		t.Errorf("%v, %d pods", err, len(found))
	}
}
