// Command store measures the embedded store alone: start in a new directory, write latency, reopening, and what idling costs.
//
//	go run ./bench/store [-dir DIR] [-idle 30s]
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/internal/store"
)

func main() {
	dir := flag.String("dir", "", "data directory, made and removed again; empty: one in the system's temporary directory")
	idle := flag.Duration("idle", 30*time.Second, "how long to watch the idle store")
	flag.Parse()
	if err := measure(context.Background(), *dir, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "bench/store:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, parent string, idle time.Duration) error {
	dir, err := os.MkdirTemp(parent, "store")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var s *store.Etcd
	for _, name := range []string{"start, new directory", "start, again"} {
		began := time.Now()
		if s, err = store.Open(ctx, store.Config{Dir: dir, Log: slog.Default()}); err != nil {
			return err
		}
		fmt.Printf("%-24s %v\n", name, time.Since(began).Round(100*time.Microsecond))
		if name == "start, again" {
			break
		}
		if err := writes(ctx, s, 5000); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	if err := rest(idle); err != nil {
		return err
	}
	return s.Close()
}

// writes creates n keys of 1 KB one after the other.
func writes(ctx context.Context, s store.Store, n int) error {
	took := make([]time.Duration, n)
	for i := range n {
		began := time.Now()
		if _, err := s.Create(ctx, fmt.Sprintf("/registry/bench/%06d", i), make([]byte, 1024), 0); err != nil {
			return err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	fmt.Printf("%-24s p50 %v  p99 %v\n", "create 1 KB", took[n/2].Round(time.Microsecond), took[n*99/100].Round(time.Microsecond))
	return nil
}

// rest waits and prints the CPU time and disk writes of that, and the memory held.
func rest(d time.Duration) error {
	time.Sleep(2 * time.Second) // let the start settle
	cpu, disk, err := usage()
	if err != nil {
		return err
	}
	time.Sleep(d)
	cpu2, disk2, err := usage()
	if err != nil {
		return err
	}
	fmt.Printf("%-24s %.2f %% of a core, %s\n", "idle", 100*(cpu2-cpu).Seconds()/d.Seconds(), "write_bytes before/after: "+disk+" / "+disk2)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") {
			fmt.Printf("%-24s %s", "memory", line)
		}
	}
	return nil
}

func usage() (cpu time.Duration, disk string, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, "", err
	}
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, "", err
	}
	for line := range strings.Lines(string(io)) {
		if v, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			disk = strings.TrimSpace(v)
		}
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), disk, nil
}
