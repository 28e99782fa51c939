// Command memory measures what the servers hold with 10,000 pods on 1,000 nodes, ours and upstream's kube-apiserver with
// etcd: after the start, after a round of LISTs, and when nobody has asked for anything for a while.
//
//	go run ./bench/memory [-json FILE] [-minato bin/minato] [-upstream DIR] [-pods 10000] [-nodes 1000] [-rest 150s] [-details DIR]
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
	"path/filepath"
	"time"

	"minato.dev/minato/bench/report"
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
	report.Main(report.Result{Bench: "memory", Title: "Memory with many objects", About: "PSS of all programs of the side. Ours is the whole one-node cluster, whose scheduler, " +
		"controllers, proxy and DNS see the pods too; upstream's is kube-apiserver and etcd alone. Both start in a used data directory with all objects in it; " +
		"the CPU of ours is that until node and DNS stand too. Each LIST is made twice."},
		func(ctx context.Context, r *report.Result) error { return b.run(ctx, f, r) })
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

func (b bench) run(ctx context.Context, f sides.Flags, r *report.Result) (err error) {
	all, err := b.start(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Close())
		}
	}()
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
	group := fmt.Sprintf("%d pods on %d nodes", b.pods, b.nodes)
	var rows []report.Row
	for _, m := range moments {
		rows = append(rows, report.Row{Group: group, Name: m.name, Unit: report.Megabytes})
	}
	done := &rows[4]
	done.Reach.Figure, done.Key = 200, true
	rows = append(rows, report.Row{Group: group, Name: "the most that they held, RSS", Unit: report.Megabytes},
		report.Row{Group: group, Name: "start to API ready", Unit: report.Seconds, Key: true, Reach: report.Reach{Figure: 1}},
		report.Row{Group: group, Name: "CPU of the start", Unit: report.Seconds})
	defer func() { r.Rows = append(r.Rows, rows...) }() // what there is, also after a failure
	for k, s := range all {
		note := func(row int, v float64) {
			if k == 0 {
				rows[row].Ours = report.Just(v)
			} else {
				rows[row].Theirs = report.Just(v)
			}
		}
		note(len(rows)-2, s.API.Seconds())
		note(len(rows)-1, s.Starting.Seconds())
		for i, m := range moments {
			if err := m.at(s); err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, m.name, err)
			}
			now, most, err := s.Memory()
			if err != nil {
				return err
			}
			note(i, report.MB(now))
			note(len(moments), report.MB(most))
			if b.details != "" {
				if err := detail(ctx, s, filepath.Join(b.details, fmt.Sprint(i))); err != nil {
					return err
				}
			}
		}
	}
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
