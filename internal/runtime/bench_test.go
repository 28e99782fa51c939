package runtime

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPodStartTakesLittle prints what a pod costs from RunPodSandbox to a running container, and its end. The bound is
// generous, since a shared machine may be busy; the figure is for people.
func TestPodStartTakesLittle(t *testing.T) {
	m := newMachine(t)
	const n = 30
	var starts, ends, sandbox, create, start []time.Duration
	cpu := processCPU(t, m)
	for range n {
		pc := m.pod()
		t0 := time.Now()
		pod := m.run(pc)
		t1 := time.Now()
		id := m.create(pod, pc, shell("c", "exec sleep 1000"))
		t2 := time.Now()
		m.begin(id)
		t3 := time.Now()
		starts, sandbox, create, start = append(starts, t3.Sub(t0)), append(sandbox, t1.Sub(t0)), append(create, t2.Sub(t1)), append(start, t3.Sub(t2))
		m.remove(pod)
		ends = append(ends, time.Since(t3))
	}
	used := processCPU(t, m) - cpu
	p50 := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2].Round(10 * time.Microsecond) }
	t.Logf("sandbox to running p50 %v (sandbox %v, create %v, start %v), end p50 %v, CPU a pod %v", p50(starts), p50(sandbox), p50(create), p50(start),
		p50(ends), (used / n).Round(10*time.Microsecond))
	if p50(starts) > time.Second {
		t.Error("a pod start takes more than a second")
	}
}

// processCPU is what this process and the shim's cgroup (with all its helpers) have used.
func processCPU(t *testing.T, m *machine) time.Duration {
	t.Helper()
	u, err := m.server.cgroups.Usage(m.cgroup, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	sys, _ := strconv.Atoi(f[12])
	return u.CPU + time.Duration(user+sys)*10*time.Millisecond
}
