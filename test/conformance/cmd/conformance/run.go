package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"minato.dev/minato/test/conformance/harbour"
	"minato.dev/minato/test/conformance/images"
	"minato.dev/minato/test/conformance/programs"
	"minato.dev/minato/test/conformance/ratchet"
	"minato.dev/minato/test/conformance/suite"
)

// run does all of it: build, start, test, keep the ratchet, clean up.
func (o options) run(ctx context.Context, log *slog.Logger) (err error) {
	results := filepath.Join(o.dir, "results.tsv")
	book, err := ratchet.Read(results)
	if err != nil {
		return err
	}
	tests, err := o.choose(book)
	if err != nil {
		return err
	}
	if err := o.room(); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(o.cache, "lock"), log)
	if err != nil {
		return err
	}
	defer unlock()
	s, archive, err := o.build(ctx, log)
	if err != nil {
		return err
	}
	registry, err := images.Serve(archive)
	if err != nil {
		return err
	}
	h, err := harbour.Open(ctx, o.minato, o.cache, o.nodes, registry, log)
	if err != nil {
		return err
	}
	defer func() {
		for i, file := range h.LogFiles() {
			name := "minato.log"
			if i > 0 {
				name = fmt.Sprintf("minato-%d.log", i)
			}
			err = errors.Join(err, keepLog(file, filepath.Join(o.out, name)))
		}
		if o.keep {
			fmt.Printf("the cluster is still there:\n  export KUBECONFIG=%s\n  %s\n", h.Kubeconfig(), strings.Join(h.Command(ctx, "kubectl", "get", "pods", "-A").Args, " "))
			return
		}
		err = errors.Join(err, h.Close(context.WithoutCancel(ctx)))
	}()
	if err := h.Load(ctx, archive); err != nil {
		return err
	}
	s.Kubeconfig, s.Command = h.Kubeconfig(), h.Command
	seen, runErr := s.Run(ctx, "", tests, o.limit)
	again, err := o.again(ctx, log, s, book, seen)
	runErr = errors.Join(runErr, err)                  // what an interrupted run has seen is kept
	if book, err = ratchet.Read(results); err != nil { // somebody may have written reasons into it meanwhile
		return errors.Join(runErr, err)
	}
	return errors.Join(runErr, o.report(book, seen, again, results))
}

// build makes programs and images, and returns the suite to run and the archive to load.
func (o options) build(ctx context.Context, log *slog.Logger) (suite.Suite, string, error) {
	b := programs.Builder{Dir: o.dir, Bin: filepath.Join(o.cache, "bin"), Log: log}
	s := suite.Suite{Bin: b.Bin, Kubectl: o.kubectl, Out: o.out, Procs: o.procs, Each: o.each, Nodes: o.nodes, Log: log}
	stamp, err := b.Stamp(ctx)
	if err != nil {
		return s, "", err
	}
	if err := b.Build(ctx, stamp); err != nil {
		return s, "", err
	}
	source, err := b.KubernetesSource(ctx)
	if err != nil {
		return s, "", err
	}
	archive, err := images.Build(ctx, images.Config{Bin: b.Bin, Cache: o.cache, Source: source, Stamp: stamp, Log: log})
	return s, archive, err
}

// choose returns the tests that the flags ask for. Those that need more nodes than there are stay out.
func (o options) choose(book ratchet.Book) ([]ratchet.Entry, error) {
	focus, err := regexp.Compile(o.focus)
	if err != nil {
		return nil, fmt.Errorf("-focus: %w", err)
	}
	groups := strings.FieldsFunc(o.groups, func(r rune) bool { return r == ',' || r == ' ' })
	for _, g := range groups {
		if !slices.ContainsFunc(book, func(e ratchet.Entry) bool { return e.Group == g }) {
			return nil, fmt.Errorf("-group %q: results.tsv has no such group", g)
		}
	}
	listed, err := o.listed(book)
	if err != nil {
		return nil, err
	}
	var tests []ratchet.Entry
	for _, e := range book {
		if e.Group == "d-two-nodes" && o.nodes < 2 || len(groups) > 0 && !slices.Contains(groups, e.Group) ||
			listed != nil && !listed[e.Test] || !focus.MatchString(e.Test) {
			continue
		}
		tests = append(tests, e)
	}
	if len(tests) == 0 {
		return nil, errors.New("no test fits what was asked for")
	}
	return tests, nil
}

// listed reads the file of names; nil means that there is none. A name that the suite does not have is an error.
func (o options) listed(book ratchet.Book) (map[string]bool, error) {
	if o.list == "" {
		return nil, nil
	}
	body, err := os.ReadFile(o.list)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(body)) {
		name := strings.TrimSpace(line)
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if !slices.ContainsFunc(book, func(e ratchet.Entry) bool { return e.Test == name }) {
			return nil, fmt.Errorf("%s: results.tsv has no test %q", o.list, name)
		}
		names[name] = true
	}
	return names, nil
}

// byChance is how many tests may fail of a run before nobody believes that the machine stumbled.
const byChance = 30

// again runs whatever had passed in an earlier run and failed in this one once more, one test at a time, and what fails then
// a last time. It returns the newest result of each: a machine that stumbles now and then is told apart from a cluster that
// lost something, which fails three times in a row.
func (o options) again(ctx context.Context, log *slog.Logger, s suite.Suite, book ratchet.Book, seen map[string]suite.Result) (map[string]suite.Result, error) {
	newest := map[string]suite.Result{}
	s.Procs = 1
	for _, phase := range []string{"again-", "last-"} {
		var lost []ratchet.Entry
		for _, e := range book {
			if e.State == ratchet.Passed && seen[e.Test].State == ratchet.Failed {
				lost = append(lost, e)
				fmt.Printf("failed: %s: %s\n", e.Test, seen[e.Test].Failure)
			}
		}
		if len(lost) == 0 || len(lost) > byChance || ctx.Err() != nil {
			return newest, ctx.Err()
		}
		log.Info("running by themselves what had passed and failed", "tests", len(lost))
		var err error
		if seen, err = s.Run(ctx, phase, lost, o.limit/3); err != nil {
			return newest, err
		}
		maps.Copy(newest, seen)
	}
	return newest, nil
}

// lock waits until no other run uses the cache.
func lock(ctx context.Context, file string, log *slog.Logger) (func(), error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		log.Info("another run uses this cache; waiting for it (-cache names another)", "lock", file)
		got := make(chan error, 1)
		go func() { got <- syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }()
		select {
		case err = <-got:
		case <-ctx.Done():
			return nil, ctx.Err() // the process ends, and the wait with it
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

func keepLog(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
