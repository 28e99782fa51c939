// Command conformance runs the official Kubernetes conformance tests against a fresh Minato cluster and keeps the ratchet:
// `make conformance`. It needs root, Go and its module proxy, apt-get, gcc, iproute2 and nsenter; the tests themselves run
// without any network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	focus, groups, list                   string
	nodes, procs                          int
	limit, each                           time.Duration
	keep, verbose                         bool
	kubelet                               string
	cache, minato, kubectl, dir, out, doc string
}

func main() {
	o := options{}
	flag.StringVar(&o.focus, "focus", "", "run only tests whose name matches this regular expression")
	flag.StringVar(&o.groups, "group", "", "run only these groups of results.tsv, between commas: a-api, b-pod, c-network, d-two-nodes, e-webhook, f-storage, g-dra")
	flag.StringVar(&o.list, "list", "", "run only the tests that this file names, one a line")
	flag.IntVar(&o.nodes, "nodes", 1, "nodes of the cluster")
	flag.IntVar(&o.procs, "procs", 6, "tests at a time")
	flag.DurationVar(&o.limit, "timeout", 3*time.Hour, "limit for all tests that run side by side, and again for the serial ones")
	flag.DurationVar(&o.each, "each", 15*time.Minute, "limit for one test; some need more than ten minutes by design")
	flag.BoolVar(&o.keep, "keep", false, "leave the cluster running afterwards, and say how to reach it")
	flag.BoolVar(&o.verbose, "v", false, "say more")
	flag.StringVar(&o.cache, "cache", "", "where built programs and images are kept (default: minato-conformance under the user's cache directory)")
	flag.StringVar(&o.minato, "minato", "../../bin/minato", "the program under test")
	flag.StringVar(&o.kubelet, "kubelet", "", "program that runs in place of minato's kubelet, for example upstream's; such a run leaves results.tsv alone")
	flag.StringVar(&o.kubectl, "kubectl", "../../bin/kubectl", "kubectl for the tests of kubectl")
	flag.StringVar(&o.dir, "dir", ".", "directory of this module: go.mod and results.tsv")
	flag.StringVar(&o.out, "out", "", "where reports and logs go (default: last in the cache)")
	flag.StringVar(&o.doc, "readme", "", "file whose line with the count is brought up to date")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := o.check()
	if err == nil {
		level := slog.LevelInfo
		if o.verbose {
			level = slog.LevelDebug
		}
		err = o.run(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// check completes the options and refuses what cannot work.
func (o *options) check() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q; see -help", flag.Args())
	}
	if o.nodes < 1 || o.nodes > 9 {
		return fmt.Errorf("-nodes %d: must be from 1 to 9; they all are on this machine", o.nodes)
	}
	if o.procs < 1 {
		return fmt.Errorf("-procs %d: must be at least 1", o.procs)
	}
	if os.Geteuid() != 0 {
		return errors.New("must be root: it makes network namespaces and runs containers")
	}
	if o.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("%w; name a directory with -cache", err)
		}
		o.cache = filepath.Join(dir, "minato-conformance")
	}
	if o.out == "" {
		o.out = filepath.Join(o.cache, "last")
	}
	for _, p := range []*string{&o.cache, &o.minato, &o.kubectl, &o.dir, &o.out} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	for _, p := range []string{o.minato, o.kubectl} {
		if _, err := os.Stat(p); err != nil {
			return fmt.Errorf("%w; `make build` builds it", err)
		}
	}
	if o.kubelet != "" { // minato takes its flags from the environment too
		if err := os.Setenv("MINATO_KUBELET", o.kubelet); err != nil {
			return err
		}
	}
	return os.MkdirAll(o.out, 0o755)
}
