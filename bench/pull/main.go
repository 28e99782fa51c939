// Command pull measures how long our runtime and containerd take to pull and unpack an image from Debian's docker-registry
// on the loopback, over CRI, by one client, in turns.
//
//	go run ./bench/pull [-json FILE] [-shim bin/minato-shim] [-upstream DIR] [-cni DIR] [-n 5] [-mb 200]
//
// Each round has an image of its own, so that nothing of it is present: six layers of files from 1 KiB to 1 MiB, half of
// which compress, packed by gzip as docker does. Registry and both runtimes are in one network namespace; each runtime has
// a cgroup of its own. A pull ends when CRI says that the image is there; ours has then forced it to the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/runtimes"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	shim, upstream, cni string
	n, mb               int
	serve               string // directory of our runtime: this process is it
}

func main() {
	var c config
	flag.StringVar(&c.shim, "shim", "bin/minato-shim", "our shim")
	flag.StringVar(&c.upstream, "upstream", upstream.Dir(), "folder of upstream's programs; what is missing is built")
	flag.StringVar(&c.cni, "cni", "/usr/lib/cni", "folder of the CNI plugins (Debian: containernetworking-plugins)")
	flag.IntVar(&c.n, "n", 5, "images")
	flag.IntVar(&c.mb, "mb", 200, "size of each image's files together, in MB")
	flag.StringVar(&c.serve, "serve", "", "used by the command itself: serve our runtime in this directory")
	report.Main(report.Result{Bench: "pull", Title: "Pulling an image", About: "PullImage over CRI of an image that is not present, six gzip layers with 200 MB of files, " +
		"from Debian's docker-registry on the loopback, in turns with containerd; until it is unpacked and CRI says that it is there. CPU is all that the side used, the registry's apart."}, c.run)
}

// taken is what one side's pulls took.
type taken struct{ time, cpu []time.Duration }

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	if c.serve != "" {
		return runtimes.Serve(ctx, c.serve, c.shim)
	}
	dir, err := os.MkdirTemp("", "pull")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := c.place(ctx, dir)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return err
	}
	var res [2]taken
	defer func() { c.rows(r, res) }() // what there is, also after a failure
	for i := range c.n + 1 {
		ref, packed, err := p.registry.image(ctx, i, c.mb)
		if err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
		if i == 0 {
			r.Note("The image's layers are %.0f MB as they are transferred.", report.MB(packed))
		}
		for k := range p.sides {
			k = (k + i) % len(p.sides) // who begins changes
			took, cpu, err := pull(ctx, p.sides[k], ref)
			if err != nil {
				return fmt.Errorf("%s: %w", p.sides[k].Name, err)
			}
			if i > 0 { // the first warms up
				res[k].time, res[k].cpu = append(res[k].time, took), append(res[k].cpu, cpu)
			}
		}
	}
	return nil
}

// pull pulls an image and removes it again.
func pull(ctx context.Context, s *runtimes.Runtime, ref string) (took, cpu time.Duration, err error) {
	used, err := s.Group.CPU()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	spec := &api.ImageSpec{Image: ref}
	if _, err := s.CRI.PullImage(ctx, &api.PullImageRequest{Image: spec}); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	if cpu, err = s.Group.CPU(); err != nil {
		return 0, 0, err
	}
	_, err = s.CRI.RemoveImage(ctx, &api.RemoveImageRequest{Image: spec})
	return took, cpu - used, err
}

func (c *config) rows(r *report.Result, res [2]taken) {
	row := func(name string, of func(taken) []time.Duration) *report.Row {
		value := func(t taken) *report.Value {
			if len(t.time) == 0 {
				return nil
			}
			return report.Median(report.S(of(t)...))
		}
		r.Add(report.Row{Name: name, Unit: report.Seconds, Ours: value(res[0]), Theirs: value(res[1])})
		return &r.Rows[len(r.Rows)-1]
	}
	first := row("pull and unpack, p50", func(t taken) []time.Duration { return t.time })
	first.Reach, first.Key = report.Reach{Ratio: 1}, true
	row("CPU of it", func(t taken) []time.Duration { return t.cpu }).Key = true
}

// place is everything that stands while images are pulled.
type place struct {
	sides    []*runtimes.Runtime // ours and theirs
	registry *registry
}

func (p *place) close() error {
	var errs []error
	if p.registry != nil {
		errs = append(errs, p.registry.close())
	}
	for _, s := range p.sides {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (c *config) place(ctx context.Context, dir string) (*place, error) {
	p := &place{}
	small := filepath.Join(dir, "small.tar")
	if err := writeSmall(small); err != nil {
		return p, err
	}
	theirs, err := runtimes.Theirs(ctx, c.upstream, c.cni, small)
	if err != nil {
		return p, err
	}
	p.sides = []*runtimes.Runtime{theirs}
	ours, err := runtimes.Ours(ctx, theirs.Net, c.shim, "")
	if err != nil {
		return p, err
	}
	p.sides = []*runtimes.Runtime{ours, theirs}
	p.registry, err = startRegistry(ctx, theirs.Net, dir)
	return p, err
}
