// Command build measures `minato image build` beside BuildKit's own daemon with Debian's runc, both of one version and
// with the same Dockerfile of three stages, six steps that run something and a base image that is present.
//
//	go run ./bench/build [-json FILE] [-minato bin/minato] [-upstream DIR] [-n 20]
//
// Ours starts a program for each build and has none between builds; the daemon runs all the time. "Into an archive" is
// the same work on both sides. "Into the node" is what a user waits for: until the node's runtime has the image; upstream
// imports the archive into containerd for that. Both run in a network namespace and a cgroup of their own, in turns. CPU
// is all that the side used, steps included.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	minato, upstream, cni string
	n                     int
}

func main() {
	var c config
	flag.StringVar(&c.minato, "minato", "bin/minato", "our program")
	flag.StringVar(&c.upstream, "upstream", upstream.Dir(), "folder of upstream's programs; what is missing is built")
	flag.StringVar(&c.cni, "cni", "/usr/lib/cni", "folder of the CNI plugins (Debian: containernetworking-plugins)")
	flag.IntVar(&c.n, "n", 20, "builds of each kind")
	report.Main(report.Result{Bench: "build", Title: "Building an image", About: "A Dockerfile of three stages with six RUN steps, the base image being present: " +
		"`minato image build`, which starts, builds and ends, against BuildKit's own daemon of the same version with Debian's runc, which runs all the time. " +
		"\"Into an archive\" is the same work for both; \"into the node\" ends when the node's runtime has the image, for which upstream's archive is imported into containerd. " +
		"Uncached builds run every step. CPU is all that the side used, steps included."}, c.run)
}

// kinds are what is built, in turns.
var kinds = []kind{{"uncached, into an archive", false, false}, {"uncached, into the node", false, true}, {"cached, into an archive", true, false}, {"cached, into the node", true, true}}

type kind struct {
	name         string
	cached, node bool
}

// taken is what one side's builds of one kind took.
type taken struct{ time, cpu []time.Duration }

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	dir, err := os.MkdirTemp("", "build")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, err := writeInput(dir)
	if err != nil {
		return err
	}
	both, err := c.start(ctx, in)
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.close())
		}
	}()
	if err != nil {
		return err
	}
	res := make([][2]taken, len(kinds))
	defer func() { c.rows(r, res, both) }() // what there is, also after a failure
	for i := range c.n + 1 {
		for k, kind := range kinds {
			for at, s := range both {
				used, began := s.cpu(), time.Now()
				if err := s.build(ctx, kind, filepath.Join(dir, s.name+".tar")); err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, kind.name, err)
				}
				if i == 0 { // to warm up
					continue
				}
				x := &res[k][at]
				x.time, x.cpu = append(x.time, time.Since(began)), append(x.cpu, s.cpu()-used)
			}
		}
	}
	return nil
}

func (c *config) start(ctx context.Context, in input) (both []*side, err error) {
	for _, start := range []func(context.Context, input) (*side, error){c.ours, c.theirs} {
		s, err := start(ctx, in)
		if err != nil {
			return both, err
		}
		both = append(both, s)
	}
	return both, nil
}

func (c *config) rows(r *report.Result, res [][2]taken, both []*side) {
	for k, kind := range kinds {
		row := func(name string, of func(taken) []time.Duration) *report.Row {
			r.Add(report.Row{Group: kind.name, Name: name, Unit: report.Millis,
				Ours: report.Median(report.Ms(of(res[k][0])...)), Theirs: report.Median(report.Ms(of(res[k][1])...))})
			return &r.Rows[len(r.Rows)-1]
		}
		first := row("p50", func(t taken) []time.Duration { return t.time })
		first.Key, first.Reach.Ratio = kind.node, 1
		row("CPU, p50", func(t taken) []time.Duration { return t.cpu })
	}
	memory := func(name string, of func(*side) int64) {
		row := report.Row{Group: "memory", Name: name, Unit: report.Megabytes}
		for i, at := range []**report.Value{&row.Ours, &row.Theirs} {
			if i < len(both) {
				*at = report.Just(report.MB(of(both[i])))
			}
		}
		r.Add(row)
	}
	memory("the most that a building process held, RSS", func(s *side) int64 { return s.most() })
	memory("held between builds for the next one, PSS", func(s *side) int64 { return s.idle() })
}
