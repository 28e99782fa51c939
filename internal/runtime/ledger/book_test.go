package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func open(t *testing.T, path string) (*Book[Container], int) {
	t.Helper()
	b, torn, err := Open[Container](path)
	if err != nil {
		t.Fatal(err)
	}
	return b, torn
}

func ids(b *Book[Container]) []string {
	all := b.IDs("")
	slices.Sort(all)
	return all
}

func put(t *testing.T, b *Book[Container], ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.Put(id, &Container{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger", "book")
	b, _ := open(t, path)
	want := &Container{ID: "c1", Intent: Kept, Created: time.Unix(1, 2),
		Config:    ContainerSpec{&cri.ContainerConfig{Command: []string{"sh"}, Labels: map[string]string{"a": "b"}}},
		Resources: Resources{&cri.LinuxContainerResources{CpuQuota: 7}}}
	if err := b.Note("c1", &Container{ID: "c1"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Put("c1", want); err != nil {
		t.Fatal(err)
	}
	again, torn := open(t, path)
	got := again.Get("c1")
	if torn != 0 || got == nil || !proto.Equal(got.Config.ContainerConfig, want.Config.ContainerConfig) ||
		got.Resources.CpuQuota != 7 || !got.Created.Equal(want.Created) || got.State() != cri.ContainerState_CONTAINER_CREATED {
		t.Errorf("torn %v, got %+v", torn, got)
	}
	for range 2 {
		if err := again.Delete("c1"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if b, _ := open(t, path); b.Len() != 0 {
		t.Error("the record outlived its removal")
	}
}

// A crash leaves the beginning of a line at the end, which is nobody's; a bad line within is told, and kept to be looked at.
func TestWhatACrashLeavesIsSortedOut(t *testing.T) {
	whole := func(id string) string { return string(encode(id, []byte(`{"id":"`+id+`"}`))) }
	for name, c := range map[string]struct {
		content string
		torn    int
		ids     []string
	}{
		"empty":                 {"", 0, nil},
		"half a line":           {whole("a") + whole("b")[:20], 0, []string{"a"}},
		"a line without an end": {whole("a") + strings.TrimSpace(whole("b")), 0, []string{"a", "b"}},
		"zeros at the end":      {whole("a") + strings.Repeat("\x00", 4096), 0, []string{"a"}},
		"a bad line within":     {whole("a") + strings.Replace(whole("b"), "id", "xx", 1) + whole("c"), 1, []string{"a", "c"}},
		"no record":             {whole("a") + string(encode("b", []byte("[]"))) + whole("c"), 1, []string{"a", "c"}},
		"a removal":             {whole("a") + whole("b") + string(encode("a", nil)), 0, []string{"b"}},
	} {
		path := filepath.Join(t.TempDir(), "book")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".tmp", []byte("half a new file"), 0o600); err != nil {
			t.Fatal(err)
		}
		b, torn := open(t, path)
		if torn != c.torn || !slices.Equal(ids(b), c.ids) {
			t.Errorf("%s: torn %d, records %v", name, torn, ids(b))
		}
		kept, err := os.ReadFile(path + ".torn")
		if (err == nil) != (c.torn > 0) || err == nil && string(kept) != c.content {
			t.Errorf("%s: kept %q: %v", name, kept, err)
		}
		put(t, b, "z")
		if b, torn := open(t, path); torn != 0 || !slices.Equal(ids(b), append(c.ids, "z")) {
			t.Errorf("%s, again: torn %d, records %v", name, torn, ids(b))
		}
	}
}

// TestAGrownFileIsWrittenAnew: many changes at the same time, of which none is lost while the file is replaced.
func TestAGrownFileIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	b, _ := open(t, path)
	long := strings.Repeat("x", 20<<10)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 40 {
				id := fmt.Sprintf("%d-%d", w, i%5)
				if err := errors.Join(b.Note(id, &Container{ID: id, Message: long}), b.Put(id, &Container{ID: id, Message: fmt.Sprint(i)})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if st, err := os.Stat(path); err != nil || st.Size() > 2*slack {
		t.Errorf("%v %v", st.Size(), err)
	}
	again, torn := open(t, path)
	for w := range 4 {
		for i := range 5 {
			if c := again.Get(fmt.Sprintf("%d-%d", w, i)); c == nil || c.Message != fmt.Sprint(35+i) {
				t.Errorf("torn %d, %d-%d: %+v", torn, w, i, c)
			}
		}
	}
}

// On a full disk records can still be removed, a record that finds no room is refused and the others stay.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "book")
	b, _ := open(t, path)
	put(t, b, "a", "b")
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	if err := b.Delete("a"); err != nil {
		t.Error(err)
	}
	if err := b.Put("c", &Container{ID: "c", Message: strings.Repeat("x", 2<<20)}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a record without room: %v", err)
	}
	put(t, b, "d")
	b, torn := open(t, path)
	if torn != 0 || !slices.Equal(ids(b), []string{"b", "d"}) {
		t.Errorf("torn %d, records %v", torn, ids(b))
	}
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	put(t, b, "c")
	if all, err := Read[Container](path); err != nil || len(all) != 3 {
		t.Errorf("%v %v", all, err)
	}
}
