package shim_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/shim"
)

// cpu returns the CPU time in nanoseconds that a v1 cgroup has used.
func cpu(cgroup string) float64 {
	b, err := os.ReadFile("/sys/fs/cgroup/cpuacct" + cgroup + "/cpuacct.usage")
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	return n
}

func BenchmarkContainer(b *testing.B) {
	n, ctx := newNode(b), context.WithoutCancel(b.Context())
	var requests []shim.CreateRequest
	for range b.N {
		requests = append(requests, n.request(nil, "/bin/true"))
	}
	before, inside := cpu(n.cgroup+"-shim"), 0.0
	b.ResetTimer()
	for _, r := range requests {
		n.startRequest(r)
		n.wait(r.ID)
		inside += cpu(n.cgroup + "/" + r.ID)
		if err := n.Delete(ctx, r.ID); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((cpu(n.cgroup+"-shim")-before+inside)/1e6/float64(b.N), "cpu-ms/op")
	b.ReportMetric(inside/1e6/float64(b.N), "inside-ms/op")
}

func BenchmarkExec(b *testing.B) {
	n, ctx := newNode(b), context.WithoutCancel(b.Context())
	r := n.start(nil, "sleep", "1000")
	own := n.cgroup + "/" + r.ID
	before := cpu(n.cgroup+"-shim") + cpu(own)
	for b.Loop() {
		x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"/bin/true"}}, shim.Stdio{})
		if err != nil {
			b.Fatal(err)
		}
		if res, err := x.Wait(ctx); err != nil || res.ExitCode != 0 {
			b.Fatal(res, err)
		}
		if err := x.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(n.cgroup+"-shim")+cpu(own)-before)/1e6/float64(b.N), "cpu-ms/op")
}

// pss returns the proportional memory of a process in KB.
func pss(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	return 0
}

// BenchmarkIdle is the memory of shim and keeper without and with 50 containers that do nothing, and the CPU they use.
func BenchmarkIdle(b *testing.B) {
	n := newNode(b)
	for b.Loop() {
	}
	i := n.info()
	b.ReportMetric(pss(b, i.Pid), "shim-KB")
	b.ReportMetric(pss(b, i.KeeperPid), "keeper-KB")
	for range 50 {
		n.start(nil, "sleep", "1000")
	}
	b.ReportMetric(pss(b, i.Pid), "shim50-KB")
	b.ReportMetric(pss(b, i.KeeperPid), "keeper50-KB")
	before := cpu(n.cgroup + "-shim")
	<-time.After(3 * time.Second)
	b.ReportMetric((cpu(n.cgroup+"-shim")-before)/3e7, "idle-percent")
	kill9(i.Pid)
	b.ReportMetric(pss(b, n.info().Pid), "shim50-restarted-KB")
}
