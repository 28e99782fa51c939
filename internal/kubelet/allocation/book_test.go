package allocation

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"minato.dev/minato/internal/kubelet/cgroup"
)

func with(cpu, memory string) corev1.ResourceRequirements {
	l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	return corev1.ResourceRequirements{Requests: l}
}

func podWith(cpu, memory string) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: with(cpu, memory)}, {Name: "b"}}}}
}

func TestBookOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pod")
	small, large := podWith("100m", "1Mi"), podWith("200m", "1Mi")
	b := New(dir, small, cgroup.Limits{MilliCPU: 100})
	if err := b.Ensure(); err != nil {
		t.Fatal(err)
	}
	if got := b.Granted(small); got != small {
		t.Error("a grant that is the spec makes a copy")
	}
	if cpu := b.Granted(large).Spec.Containers[0].Resources.Requests.Cpu(); cpu.MilliValue() != 100 || large.Spec.Containers[0].Resources.Requests.Cpu().MilliValue() != 200 {
		t.Errorf("granted %v", cpu)
	}
	again, err := Open(dir, large, cgroup.Limits{MilliCPU: 200})
	if err != nil {
		t.Fatal(err)
	}
	if cpu := again.Granted(large).Spec.Containers[0].Resources.Requests.Cpu(); cpu.MilliValue() != 100 || again.Cgroup().MilliCPU != 100 {
		t.Errorf("after a restart %v %+v", cpu, again.Cgroup())
	}
	if err := again.Grant(large); err != nil || again.Version() != 1 {
		t.Fatal(err, again.Version())
	}
	if err := again.Apply(map[string]corev1.ResourceRequirements{"id": with("200m", "1Mi")}, cgroup.Limits{MilliCPU: 200}, nil); err != nil {
		t.Fatal(err)
	}
	last, err := Open(dir, small, cgroup.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := last.Applied("id"); !ok || r.Requests.Cpu().MilliValue() != 200 || last.Cgroup().MilliCPU != 200 {
		t.Errorf("applied %v %v %+v", r, ok, last.Cgroup())
	}
}

func TestBookThatCannotBeReadBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := podWith("1", "1Mi")
	b, err := Open(dir, p, cgroup.Limits{})
	if err == nil || b == nil || b.Granted(p) != p {
		t.Errorf("book %v, error %v", b, err)
	}
	if err := b.Ensure(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, p, cgroup.Limits{}); err != nil {
		t.Error(err)
	}
}

func TestCompare(t *testing.T) {
	if cpu, memory := Differs(with("100m", "1Mi"), with("0.1", "2Mi")); cpu || !memory {
		t.Error(cpu, memory)
	}
	if Grows(podWith("200m", "2Mi"), podWith("100m", "2Mi")) || !Grows(podWith("200m", "2Mi"), podWith("100m", "3Mi")) {
		t.Error("growth is misjudged")
	}
}

// A book is read by whoever comes after a crash: no content may panic.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"granted":{"containers":{"a":{"requests":{"cpu":"1"}}}},"cgroup":{}}`))
	f.Add([]byte(`{"granted":null,"applied":{"x":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		p := podWith("1", "1Mi")
		b, _ := Open(dir, p, cgroup.Limits{})
		_ = b.Granted(p)
		if err := b.Apply(nil, cgroup.Limits{}, nil); err != nil {
			t.Fatal(err)
		}
	})
}
