package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestTree(t *testing.T) {
	tree, err := New(fmt.Sprintf("/minato-cgroup-test-%d/kubepods", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	top := &Tree{root: filepath.Dir(tree.root), unified: tree.unified, v1: tree.v1, points: tree.points}
	t.Cleanup(func() {
		if err := top.RemoveRoot(); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		if err := tree.Set("u", corev1.PodQOSBurstable, Limits{MilliCPU: 500, Quota: Quota(1000), Memory: 64 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	if tree.unified == "" {
		for file, want := range map[string]string{"cpu/%s/cpu.shares": "512", "cpu/%s/cpu.cfs_quota_us": "100000", "memory/%s/memory.limit_in_bytes": "67108864"} {
			controller, rest, _ := strings.Cut(file, "/")
			raw, err := os.ReadFile(filepath.Join(tree.v1[controller], fmt.Sprintf(rest, tree.Path("u", corev1.PodQOSBurstable))))
			if err != nil || strings.TrimSpace(string(raw)) != want {
				t.Errorf("%s is %q, %v", file, raw, err)
			}
		}
	}
	for _, m := range tree.points { // as the runtime does, v2 beside v1 too
		if err := os.MkdirAll(filepath.Join(m, tree.Path("u", corev1.PodQOSBurstable), "container"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Remove("u"); err != nil {
		t.Fatal(err)
	}
	for _, m := range tree.points {
		if _, err := os.Stat(filepath.Join(m, tree.Path("u", corev1.PodQOSBurstable))); !os.IsNotExist(err) {
			t.Errorf("left under %s: %v", m, err)
		}
	}
	if err := tree.Remove("u"); err != nil {
		t.Errorf("a second removal: %v", err)
	}
}

func TestUnits(t *testing.T) {
	if Shares(0) != 2 || Shares(1000) != 1024 || Shares(1_000_000_000) != 262144 || Quota(0) != 0 || Quota(1) != 1000 || Quota(2500) != 250_000 || Weight(2) != 1 || Weight(262144) != 10000 {
		t.Error("units are wrong")
	}
}
