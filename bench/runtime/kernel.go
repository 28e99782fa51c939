package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// kernelMemory is what the kernel holds for all processes of the machine and for what they made: objects, per-CPU areas,
// stacks and page tables, in bytes, without what stands for pages of files. Pods are a difference of it. What it keeps only
// because there is room goes first; what it frees late, such as network namespaces, is waited for.
func kernelMemory(ctx context.Context) (int64, error) {
	for last := int64(0); ; {
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
			return 0, err
		}
		now, err := heldByKernel()
		if err != nil || last > 0 && now >= last-settled {
			return now, err
		}
		last = now
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// settled is how little less the kernel holds after a second when it has come to rest.
const settled = 256 << 10

func heldByKernel() (sum int64, err error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	found := 0
	for line := range strings.Lines(string(b)) {
		var name string
		var kb int64
		if n, _ := fmt.Sscan(line, &name, &kb); n < 2 {
			continue
		}
		switch name {
		case "Slab:", "Percpu:", "KernelStack:", "PageTables:":
			sum += kb << 10
			found++
		}
	}
	if found != 4 {
		return 0, errors.New("/proc/meminfo does not say what the kernel holds")
	}
	files, err := heldForFiles()
	return sum - files, err
}

// heldForFiles is what of it comes and goes with the cache of what is on disks.
func heldForFiles() (int64, error) {
	b, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var objects, all, size, inSlab, pages, slabs int64
		const columns = "buffer_head %d %d %d %d %d : tunables 0 0 0 : slabdata %d"
		if n, _ := fmt.Sscanf(strings.Join(strings.Fields(line), " "), columns, &objects, &all, &size, &inSlab, &pages, &slabs); n == 6 {
			return slabs * pages * int64(os.Getpagesize()), nil
		}
	}
	return 0, nil // the machine has no such file system
}
