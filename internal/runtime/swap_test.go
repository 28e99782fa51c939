package runtime

import (
	"strings"
	"testing"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestSwapLimits asks the kernel what it was told of memory and swap together: on version 1 the sum, on version 2 the swap.
func TestSwapLimits(t *testing.T) {
	m := newMachine(t)
	if !m.server.node.SwapLimit {
		t.Log("this kernel accounts no swap; limits of memory are looked at alone")
	}
	pc := m.pod()
	pod := m.run(pc)
	const read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.swap.max 2>/dev/null"
	for i, c := range []struct {
		memory, swap int64
		v1, v2       string
	}{
		{64 << 20, 0, "67108864 67108864", "67108864 0"},
		{64 << 20, 96 << 20, "67108864 100663296", "67108864 33554432"},
	} {
		box := shell("c"+string(rune('0'+i)), "exec sleep 1000")
		box.Linux.Resources.MemoryLimitInBytes, box.Linux.Resources.MemorySwapLimitInBytes = c.memory, c.swap
		id := m.create(pod, pc, box)
		m.begin(id)
		look := func(v1, v2 string) {
			t.Helper()
			want := v1
			if m.server.node.CgroupV2 {
				want = v2
			}
			if !m.server.node.SwapLimit {
				want, _, _ = strings.Cut(want, " ")
			}
			out, _ := m.exec(id, "sh", "-c", read)
			if got := strings.Join(strings.Fields(out), " "); got != want {
				t.Errorf("%d and %d: %q, want %q", c.memory, c.swap, got, want)
			}
		}
		look(c.v1, c.v2)
		for _, l := range []struct {
			memory, swap int64
			v1, v2       string
		}{{128 << 20, 160 << 20, "134217728 167772160", "134217728 33554432"}, {32 << 20, 32 << 20, "33554432 33554432", "33554432 0"}} {
			if _, err := m.UpdateContainerResources(m.ctx(), &api.UpdateContainerResourcesRequest{ContainerId: id,
				Linux: &api.LinuxContainerResources{MemoryLimitInBytes: l.memory, MemorySwapLimitInBytes: l.swap}}); err != nil {
				t.Fatal(err)
			}
			look(l.v1, l.v2)
		}
	}
	m.remove(pod)
}
