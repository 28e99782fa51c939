package kubelet

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/kubelettest"
)

// TestImagesGoWhenTheDiskIsFull: the longest unused go first and no more than are needed; what is pinned, used or new stays.
func TestImagesGoWhenTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	fill := func(bytes int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "layers"), make([]byte, bytes), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rt := kubelettest.New()
	k := &Kubelet{cfg: Config{CRI: rt.Serve(t), Log: slog.New(slog.DiscardHandler)}, imageDir: dir, self: &nodeState{}}
	for _, name := range []string{"pinned", "older", "newer"} {
		rt.AddImage(name, 2<<20, name == "pinned")
	}
	ctx, now := t.Context(), time.Now()
	use := func(image string) string {
		t.Helper()
		made, err := k.cfg.CRI.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{SandboxConfig: &runtimeapi.PodSandboxConfig{},
			Config: &runtimeapi.ContainerConfig{Metadata: &runtimeapi.ContainerMetadata{Name: image}, Image: &runtimeapi.ImageSpec{Image: "sha256:" + image}}})
		if err != nil {
			t.Fatal(err)
		}
		return made.ContainerId
	}
	collect := func(after time.Duration, want string) {
		t.Helper()
		now = now.Add(after)
		if err := k.collectImages(ctx, now); err != nil {
			t.Fatal(err)
		}
		list, err := k.cfg.CRI.ListImages(ctx, &runtimeapi.ListImagesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, i := range list.Images {
			have = append(have, strings.TrimPrefix(i.Id, "sha256:"))
		}
		slices.Sort(have)
		if got := strings.Join(have, " "); got != want {
			t.Errorf("after %v: %s, want %s", after, got, want)
		}
	}
	fill(6 << 20) // three quarters
	use("local")
	was := use("newer")
	collect(0, "local newer older pinned")
	if _, err := k.cfg.CRI.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: was}); err != nil {
		t.Fatal(err)
	}
	collect(imagePeriod, "local newer older pinned")
	rt.AddImage("young", 2<<20, false)
	fill(7<<20 + 1<<19)
	collect(time.Second, "local newer older pinned young") // it has looked just now
	collect(imagePeriod, "local newer pinned young")       // 1.1 MiB too much
	fill(6 << 20)
	collect(imagePeriod, "local newer pinned young")
	fill(7<<20 + 1<<19)
	collect(imagePeriod, "local newer pinned")
}
