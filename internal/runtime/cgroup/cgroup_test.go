package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseMounts(t *testing.T) {
	v1 := parse(`30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
35 1 0:27 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct
`)
	if v1.V2() || v1.v1["cpuacct"] != "/sys/fs/cgroup/cpu,cpuacct" || len(v1.Dirs("/a")) != 4 {
		t.Errorf("%+v", v1)
	}
	v2 := parse("30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")
	if !v2.V2() || v2.dir("memory", "/a") != "/sys/fs/cgroup/a" {
		t.Errorf("%+v", v2)
	}
}

func TestSettings(t *testing.T) {
	l := Limits{CPUShares: 1024, CPUQuota: 50000, CPUPeriod: 100000, Memory: -1}
	var text []string
	for _, s := range append(v1Settings(l), v2Settings(l)...) {
		text = append(text, s.file+"="+s.value)
	}
	want := "cpu.shares=1024 cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 memory.limit_in_bytes=-1 cpu.weight=100 cpu.max=50000 100000 memory.max=max"
	if got := strings.Join(text, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := (&Tree{v1: map[string]string{"memory": "/m"}}).settings(Limits{Unified: map[string]string{"memory.min": "1"}}); err == nil {
		t.Error("unified on v1 was accepted")
	}
}

func TestWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 0, 2: 1, 1024: 100, 262144: 10000, 1 << 40: 10000, 512: 59} {
		if got := Weight(shares); got != want {
			t.Errorf("Weight(%d) = %d, want %d", shares, got, want)
		}
	}
}

func TestParsePSI(t *testing.T) {
	p := parsePSI("some avg10=1.50 avg60=2.00 avg300=0.25 total=1234\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=7\n")
	if p.Some.Avg10 != 1.5 || p.Some.Total != 1234*time.Microsecond || p.Full.Total != 7*time.Microsecond {
		t.Errorf("%+v", p)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("total_rss 5\nx\n\n a b c")
	f.Fuzz(func(t *testing.T, text string) { parseStat(text); parsePSI(text); parse(text) })
}

func TestLifeOnThisKernel(t *testing.T) {
	tree, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	top := "/minato-cgroup-test-" + strconv.Itoa(os.Getpid())
	path := top + "/pod1"
	t.Cleanup(func() {
		if err := tree.Remove(t.Context(), top); err == nil {
			return
		}
		t.Error(tree.Remove(t.Context(), top))
	})
	if made, err := tree.Make(path); !made || err != nil {
		t.Fatal(made, err)
	}
	if made, err := tree.Make(path); made || err != nil {
		t.Fatal("second time:", made, err)
	}
	if err := tree.Set(path, Limits{CPUShares: 512, CPUQuota: 20000, CPUPeriod: 100000, Memory: 64 << 20, CPUs: "0"}); err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	for _, controller := range counted {
		dir := tree.dir(controller, path)
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(sleep.Process.Pid)), 0); err != nil {
			t.Error(err)
		}
	}
	u, err := tree.Usage(path, time.Now())
	if err != nil || u.Limit != 64<<20 || u.Processes != 1 {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := tree.OOMKills(path); err != nil {
		t.Error(err)
	}
	if err := tree.Remove(t.Context(), path); err != nil {
		t.Errorf("removing a cgroup with a stray process: %v", err)
	}
	if err := sleep.Wait(); err == nil || sleep.ProcessState.ExitCode() != -1 {
		t.Errorf("the stray process was not killed: %v", err)
	}
	for range 2 {
		if err := tree.Remove(t.Context(), path); err != nil {
			t.Error(err)
		}
	}
	if _, err := tree.Usage(path, time.Now()); !missing(err) {
		t.Errorf("usage of a removed cgroup: %v", err)
	}
	for _, bad := range []string{"", "/", "a", "/a/../b", "/a/"} {
		if _, err := tree.Make(bad); err == nil {
			t.Errorf("%q was made", bad)
		}
	}
}
