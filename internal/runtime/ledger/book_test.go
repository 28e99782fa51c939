package ledger

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func open(t *testing.T, dir string) (*Book[Container], []string) {
	t.Helper()
	b, torn, err := Open[Container](dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, torn
}

func TestRecordsComeBack(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir)
	want := &Container{ID: "c1", Intent: Kept, Created: time.Unix(1, 2),
		Config:    ContainerSpec{&cri.ContainerConfig{Command: []string{"sh"}, Labels: map[string]string{"a": "b"}}},
		Resources: Resources{&cri.LinuxContainerResources{CpuQuota: 7}}}
	if err := b.Put("c1", want); err != nil {
		t.Fatal(err)
	}
	again, torn := open(t, dir)
	got := again.Get("c1")
	if len(torn) != 0 || got == nil || !proto.Equal(got.Config.ContainerConfig, want.Config.ContainerConfig) ||
		got.Resources.CpuQuota != 7 || !got.Created.Equal(want.Created) || got.State() != cri.ContainerState_CONTAINER_CREATED {
		t.Errorf("torn %v, got %+v", torn, got)
	}
	if err := again.Delete("c1"); err != nil {
		t.Fatal(err)
	}
	if err := again.Delete("c1"); err != nil {
		t.Errorf("second delete: %v", err)
	}
	if b, _ := open(t, dir); b.Len() != 0 {
		t.Error("the record outlived its removal")
	}
}

func TestWhatACrashLeavesIsSortedOut(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"ok.json": `{"id":"ok"}`, "half.json": `{"id":`, "empty.json": "", ".tmp-1": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, torn := open(t, dir)
	slices.Sort(torn)
	if !slices.Equal(torn, []string{"empty", "half"}) || b.Get("ok") == nil || b.Len() != 1 {
		t.Errorf("torn %v, %d records", torn, b.Len())
	}
	if _, err := os.Stat(filepath.Join(dir, ".tmp-1")); !os.IsNotExist(err) {
		t.Error("a temporary file stayed")
	}
	if _, torn := open(t, dir); len(torn) != 0 {
		t.Errorf("torn files were seen twice: %v", torn)
	}
}
