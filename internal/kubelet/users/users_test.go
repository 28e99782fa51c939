package users

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
)

func podDir(t *testing.T, root string, uid types.UID) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, string(uid)), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestRangesAreTheirsAlone(t *testing.T) {
	root := t.TempDir()
	r, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]types.UID{}
	for i := range 300 {
		uid := types.UID(fmt.Sprintf("pod-%d", i))
		podDir(t, root, uid)
		u, err := r.Take(uid)
		if err != nil {
			t.Fatal(err)
		}
		m := u.Uids[0]
		if m.HostId < Length || m.HostId%Length != 0 || m.Length != Length || m.ContainerId != 0 || uint64(m.HostId)+Length > 1<<32-1 {
			t.Fatalf("%v", m)
		}
		if !proto.Equal(m, u.Gids[0]) || seen[m.HostId] != "" {
			t.Fatalf("%v is also of %s", u, seen[m.HostId])
		}
		seen[m.HostId] = uid
		if again, err := r.Take(uid); err != nil || !proto.Equal(again, u) {
			t.Fatalf("another time: %v, %v", again, err)
		}
	}
	again, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for host, uid := range seen {
		if u, err := again.Take(uid); err != nil || u.Uids[0].HostId != host {
			t.Errorf("%s after a restart: %v, %v", uid, u, err)
		}
	}
}

func TestReleasedRangesComeBack(t *testing.T) {
	root := t.TempDir()
	r, _ := Open(root)
	podDir(t, root, "a")
	first, err := r.Take("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	r.Release("a")
	r.Release("nobody")
	podDir(t, root, "a")
	if u, err := r.Take("a"); err != nil || !proto.Equal(u, first) {
		t.Errorf("%v, %v", u, err)
	}
}

func TestUpstreamsFile(t *testing.T) {
	root := t.TempDir()
	podDir(t, root, "theirs")
	text := whole
	if err := os.WriteFile(filepath.Join(root, "theirs", file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := r.Take("theirs"); err != nil || u.Uids[0].HostId != 131072 {
		t.Errorf("%v, %v", u, err)
	}
	podDir(t, root, "ours")
	if err := r.write("ours", 2); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "ours", file)); err != nil || string(got) != text {
		t.Errorf("%s, %v", got, err)
	}
}

func TestFilesThatCannotBeTrusted(t *testing.T) {
	for name, text := range map[string]string{
		"torn": `{"uidMappings":[{"hostId":13`, "empty": "", "the node's own": strings.ReplaceAll(whole, "131072", "0"),
		"two": `{"uidMappings":[],"gidMappings":[]}`, "odd": strings.ReplaceAll(whole, "131072", "131073"),
		"unlike": strings.Replace(whole, "131072", "196608", 1), "no length": strings.ReplaceAll(whole, "65536", "0"),
	} {
		root := t.TempDir()
		podDir(t, root, "bad")
		if err := os.WriteFile(filepath.Join(root, "bad", file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(root)
		if err == nil || !strings.Contains(err.Error(), "bad/userns") {
			t.Errorf("%s: %v", name, err)
		}
		if u, err := r.Take("bad"); err == nil || !strings.Contains(err.Error(), "delete the pod") {
			t.Errorf("%s: %v, %v", name, u, err)
		}
		podDir(t, root, "good")
		if _, err := r.Take("good"); err != nil {
			t.Errorf("%s: another pod: %v", name, err)
		}
	}
}

const whole = `{"uidMappings":[{"hostId":131072,"containerId":0,"length":65536}],"gidMappings":[{"hostId":131072,"containerId":0,"length":65536}]}`

func TestTwoPodsOfOneRange(t *testing.T) {
	root := t.TempDir()
	for _, uid := range []types.UID{"a", "b"} {
		podDir(t, root, uid)
		if err := os.WriteFile(filepath.Join(root, string(uid), file), []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(root)
	if err == nil || !strings.Contains(err.Error(), "same ids") {
		t.Errorf("%v", err)
	}
	if _, err := r.Take("a"); err != nil {
		t.Error(err)
	}
	if _, err := r.Take("b"); err == nil {
		t.Error("the second pod got the first one's ids")
	}
}
