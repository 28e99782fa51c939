package kubelet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/kubelet/allocation"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/machine"
	"minato.dev/minato/internal/kubelet/seen"
)

var testMachine = machine.Info{CPUs: 4, Memory: 4 << 30, Disk: 200 << 30, Inodes: 1000, ImageDisk: 200 << 30, ImageInodes: 1000,
	Reach: 100 << 30, ImageReach: 80 << 30, Pids: 32768}

func TestThresholds(t *testing.T) {
	at, err := parseThresholds(defaultEviction, testMachine)
	if err != nil || at != (thresholds{memory: 100 << 20, disk: 10 << 30, inodes: 50, imageDisk: 12 << 30, imageInodes: 50}) {
		t.Fatalf("%+v, %v", at, err)
	}
	plenty := machine.Free{Memory: 1 << 30, Disk: 50 << 30, Inodes: 500, ImageDisk: 50 << 30, ImageInodes: 500, Pids: 30000}
	for name, c := range map[string]struct {
		change func(*machine.Free)
		want   string
	}{
		"plenty":    {func(*machine.Free) {}, ""},
		"no memory": {func(f *machine.Free) { f.Memory = 1 << 20 }, "memory Threshold quantity: 100Mi, available: 1Mi. "},
		"no disk":   {func(f *machine.Free) { f.Disk = 5 << 30 }, "ephemeral-storage Threshold quantity: 10Gi, available: 5Gi. "},
		"no inodes": {func(f *machine.Free) { f.Inodes = 5 }, "inodes Threshold quantity: 50, available: 5. "},
		"no images": {func(f *machine.Free) { f.ImageDisk = 1 << 30 }, "ephemeral-storage Threshold quantity: 12Gi, available: 1Gi. "},
		"memory first": {func(f *machine.Free) { f.Memory, f.Disk = 1<<20, 1 }, "memory Threshold quantity: 100Mi, available: 1Mi. " +
			"ephemeral-storage Threshold quantity: 10Gi, available: 1. "},
		"pids have no default": {func(f *machine.Free) { f.Pids = 1 }, ""},
	} {
		free := plenty
		c.change(&free)
		got := ""
		for _, s := range at.short(free) {
			got += s.resource + " " + s.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestThresholdsAreChecked(t *testing.T) {
	for text, want := range map[string]string{"memory.available=x": "must be a quantity", "memory.available=101%": "between 0% and 100%", "disk=1": "unknown signal \"disk\", known are imagefs.available"} {
		name, value, _ := strings.Cut(text, "=")
		if _, err := parseThresholds(map[string]string{name: value}, testMachine); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	at, err := parseThresholds(map[string]string{"pid.available": "50%"}, testMachine)
	if err != nil || at != (thresholds{pids: 16384}) {
		t.Errorf("%+v, %v", at, err)
	}
}

func TestAllocatable(t *testing.T) {
	m := testMachine
	m.HugePages = map[string]int64{"hugepages-2Mi": 1 << 30}
	k := &Kubelet{cfg: Config{MaxPods: 110, SystemReserved: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")},
		KubeReserved: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}, machine: m, evictAt: thresholds{memory: 100 << 20, disk: 10 << 30}}
	got := k.allocatable()
	for name, want := range map[corev1.ResourceName]string{corev1.ResourceCPU: "3500m", corev1.ResourceMemory: "1948Mi", corev1.ResourceEphemeralStorage: "190Gi",
		corev1.ResourcePods: "110", "hugepages-2Mi": "1Gi"} {
		if q := got[name]; q.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %s, want %s", name, q.String(), want)
		}
	}
}

// candidate is a running pod with a priority and a memory request.
func candidate(t *testing.T, name string, priority int32, request string) *worker {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{Priority: &priority, Containers: []corev1.Container{{Name: "c"}}}}
	if request != "" {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(request)}
	}
	return &worker{uid: p.UID, next: p, book: allocation.New(t.TempDir(), p, cgroup.Limits{}), shownSeen: seen.Pod{Containers: []seen.Container{{ID: "x", State: seen.Running}}}}
}

func TestVictim(t *testing.T) {
	memory := shortage{resource: "memory", memory: true, left: 1, at: 2}
	const mi = 1 << 20
	a, b, c, d := candidate(t, "a", 0, ""), candidate(t, "b", 5, "50Mi"), candidate(t, "c", 0, "500Mi"), candidate(t, "d", systemCritical, "")
	uses := map[types.UID]use{"a": {memory: 10 * mi}, "b": {memory: 100 * mi}, "c": {memory: 400 * mi}, "d": {memory: 4000 * mi}}
	var order []string
	for all := []*worker{d, c, b, a}; ; {
		w, _ := victim(all, memory, uses)
		if w == nil {
			break
		}
		order = append(order, w.next.Name)
		w.evict = nil
		w.gone = true
	}
	if got := strings.Join(order, " "); got != "a b c" {
		t.Errorf("order is %s", got)
	}
	b.gone = false
	u := uses["b"]
	u.containers = map[string]containerUse{"c": {memory: 100 * mi}}
	if got := u.blame(b, memory); got != "Container c was using 100Mi, request is 50Mi, has larger consumption of memory. " {
		t.Errorf("blame is %q", got)
	}
}

func TestDiskUse(t *testing.T) {
	dir := t.TempDir()
	before := diskUse(dir)
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	sparse, err := os.Create(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer sparse.Close()
	if err := sparse.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	if got := diskUse(dir) - before; got < 1<<20 || got > 2<<20 {
		t.Errorf("a file of 1 MiB with two names and a hole of 1 GiB take %d", got)
	}
	if got := diskUse(filepath.Join(dir, "nowhere")); got != 0 {
		t.Errorf("nothing takes %d", got)
	}
}
