package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"minato.dev/minato/bench/sides"
)

// detail leaves the server's heap profile, goroutines and every process's mappings in dir.
func detail(ctx context.Context, s *sides.Side, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ps, err := s.Net.Processes()
	if err != nil {
		return err
	}
	for _, p := range ps {
		if err := mappings(p.PID, filepath.Join(dir, fmt.Sprintf("%s-%d.txt", strings.ReplaceAll(p.Name, " ", "-"), p.PID))); err != nil {
			return err
		}
	}
	c := s.Client(false)
	defer c.CloseIdleConnections()
	for name, path := range map[string]string{"heap.pprof": "heap", "heap.txt": "heap?debug=1", "goroutines.txt": "goroutine?debug=1"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(get(ctx, c, s.URL+"/debug/pprof/"+path, "*/*", f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// mappings writes what the process holds by the name of the mapping, in KB, the largest first.
func mappings(pid int, file string) error {
	in, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return err
	}
	defer in.Close()
	held := map[string]int64{}
	name := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			name = strings.Join(append(f[1:2], f[5:]...), " ")
		case len(f) == 3 && f[0] == "Pss:":
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return err
			}
			held[name] += kb
		}
	}
	names := make([]string, 0, len(held))
	for n := range held {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return int(held[b] - held[a]) })
	var out strings.Builder
	for _, n := range names {
		fmt.Fprintf(&out, "%9d %s\n", held[n], n)
	}
	return errors.Join(lines.Err(), os.WriteFile(file, []byte(out.String()), 0o644))
}
