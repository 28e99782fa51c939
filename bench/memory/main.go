// Command memory measures what the servers hold with 10,000 pods on 1,000 nodes, ours and upstream's kube-apiserver with
// etcd: after the start, after a round of LISTs, and when nobody has asked for anything for a while.
//
//	go run ./bench/memory [-minato bin/minato] [-upstream DIR] [-pods 10000] [-nodes 1000] [-rest 150s] [-details DIR]
//
// Ours is the whole one-node cluster, whose scheduler, controllers, proxy and DNS see the pods too. With -details DIR it
// runs ours alone, and leaves there at each moment a heap profile and the mappings of each process by size.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/sides"
)

func main() {
	var f sides.Flags
	f.Register()
	var b bench
	flag.IntVar(&b.pods, "pods", 10000, "how many pods there are")
	flag.IntVar(&b.nodes, "nodes", 1000, "how many nodes they are on")
	flag.DurationVar(&b.rest, "rest", 150*time.Second, "how long nobody asks for anything before the last reading")
	flag.StringVar(&b.details, "details", "", "measure ours alone and write profiles and mappings into this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "bench/memory:", err)
		os.Exit(1)
	}
}

type bench struct {
	pods, nodes int
	rest        time.Duration
	details     string
}

// The LISTs of the round, each twice.
var lists = []struct{ path, accept string }{
	{"/api/v1/pods", "application/vnd.kubernetes.protobuf"},
	{"/api/v1/pods", "application/json"},
	{"/api/v1/pods", "application/json;as=Table;v=v1;g=meta.k8s.io"},
	{"/api/v1/nodes", "application/json"},
}

func (b bench) run(ctx context.Context, f sides.Flags) (err error) {
	all, err := b.start(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Close())
		}
	}()
	head, ready, peak := []string{"PSS, MB"}, []string{"start to API ready, s"}, []string{"most ever held (RSS)"}
	for _, s := range all {
		head, ready = append(head, s.Name), append(ready, fmt.Sprintf("%.2f", s.API.Seconds()))
	}
	moments := []struct {
		name string
		at   func(*sides.Side) error
	}{
		{"10 s after the start", func(*sides.Side) error { return wait(ctx, 10*time.Second) }},
		{"after two LISTs in protobuf", func(s *sides.Side) error { return twice(ctx, s, 0) }},
		{"then in JSON", func(s *sides.Side) error { return twice(ctx, s, 1) }},
		{"then as Table", func(s *sides.Side) error { return twice(ctx, s, 2) }},
		{"then nodes: the round is done", func(s *sides.Side) error { return twice(ctx, s, 3) }},
		{"10 s after the round", func(*sides.Side) error { return wait(ctx, 10*time.Second) }},
		{fmt.Sprintf("%v after the round", b.rest), func(*sides.Side) error { return wait(ctx, b.rest-10*time.Second) }},
	}
	rows := [][]string{}
	for _, m := range moments {
		rows = append(rows, []string{m.name})
	}
	for _, s := range all {
		for i, m := range moments {
			if err := m.at(s); err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, m.name, err)
			}
			now, _, err := s.Memory()
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], fmt.Sprint(now/1e6))
			if b.details != "" {
				if err := detail(ctx, s, filepath.Join(b.details, fmt.Sprint(i))); err != nil {
					return err
				}
			}
		}
		_, most, err := s.Memory()
		if err != nil {
			return err
		}
		peak = append(peak, fmt.Sprint(most/1e6))
	}
	fmt.Printf("Memory with %d pods on %d nodes; %s.\n\n", b.pods, b.nodes, measure.Load())
	measure.Table(os.Stdout, append(append([][]string{head}, rows...), peak, ready))
	return nil
}

func (b bench) start(ctx context.Context, f sides.Flags) ([]*sides.Side, error) {
	fill := sides.Fleet(b.pods, b.nodes)
	if b.details == "" {
		return sides.Both(ctx, f, fill)
	}
	s, err := sides.Ours(ctx, f.Minato, fill)
	return []*sides.Side{s}, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func twice(ctx context.Context, s *sides.Side, list int) error {
	c := s.Client(false)
	defer c.CloseIdleConnections()
	for range 2 {
		if err := get(ctx, c, s.URL+lists[list].path, lists[list].accept, io.Discard); err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, c *http.Client, url, accept string, into io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(into, resp.Body)
	return err
}
