package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/upstream"
)

// cleaning is how long an interrupted bench may take to clean up.
const cleaning = 90 * time.Second

// bench runs one and returns what it found; what goes wrong stands in the result.
func (p *place) bench(ctx context.Context, c config, b bench) *report.Result {
	name := b.name
	fmt.Fprintf(os.Stderr, "\nbench/%s\n", name)
	began, machine := time.Now(), report.Here()
	file := filepath.Join(p.dir, name+".json")
	var out bytes.Buffer
	err := errors.Join(upstream.Build(ctx, c.upstream, b.needs...), p.build(ctx, name))
	if err == nil {
		err = p.command(ctx, c, name, file, &out)
	}
	r, unread := report.Read(file)
	if unread != nil { // it gave no data: it failed early, or prints only
		r = &report.Result{Bench: name, Title: "bench/" + name, Began: began, Machine: machine, LoadThen: report.Load(),
			Took: time.Since(began).Seconds(), Text: out.String()}
		if !errors.Is(unread, os.ErrNotExist) {
			err = errors.Join(err, unread)
		}
	}
	if left := sweep(p.tag, p.dir); left != nil {
		err = errors.Join(err, fmt.Errorf("left behind and swept: %w", left))
	}
	if err != nil {
		r.Failure = join(r.Failure, err.Error())
	}
	return r
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func (p *place) build(ctx context.Context, name string) error {
	return measure.Output(exec.CommandContext(ctx, "go", "build", "-o", p.program(name), "./bench/"+name))
}

func (p *place) program(name string) string { return filepath.Join(p.dir, "bin", name) }

// command runs a bench to its end, or asks it to end and waits for that.
func (p *place) command(ctx context.Context, c config, name, file string, out io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, fmt.Errorf("it took longer than %v", c.patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program(name), "-json", file, "-upstream", c.upstream)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Env = append(os.Environ(), measure.TagVariable+"="+p.tag, "TMPDIR="+p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = cleaning
	err := cmd.Run()
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}
