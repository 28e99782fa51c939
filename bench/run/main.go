// Command run runs the benches beside it one after another, each as a process of its own, and makes one report of what
// they find.
//
//	go run ./bench/run [-only pod,list] [-out bench/results] [-upstream DIR] [-patience 20m]
//
// It builds upstream's programs where they are missing. A bench that fails, hangs or leaves something on the
// machine is said to in the report, which has its figures up to then, and does not keep the others from running; the exit
// code is 1 then. At an interrupt the running bench cleans up, and the report is of what has been found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	only, out, upstream string
	patience            time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "benches to run, with commas; empty: all")
	flag.StringVar(&c.out, "out", "bench/results", "folder of the report")
	flag.StringVar(&c.upstream, "upstream", upstream.Dir(), "folder with upstream's programs; those that it lacks are built")
	flag.DurationVar(&c.patience, "patience", 20*time.Minute, "how long one bench may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	runtime.LockOSThread() // commands are told to end with the thread that started them
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	list, err := chosen(c.only)
	if err != nil {
		return err
	}
	if err := sweepStale(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: what an earlier run left:", err)
	}
	place, err := newPlace()
	if err != nil {
		return err
	}
	var failed []string
	for _, b := range list {
		if ctx.Err() != nil {
			break
		}
		r := place.bench(ctx, c, b)
		if r.Failure != "" {
			failed = append(failed, b.name)
		}
		if err := errors.Join(report.Save(c.out, r), report.Render(c.out, names(benches))); err != nil {
			return errors.Join(err, place.close())
		}
		fmt.Fprintln(os.Stderr)
		r.Markdown(os.Stderr)
	}
	err = place.close()
	if ctx.Err() != nil {
		err = errors.Join(err, errors.New("interrupted"))
	}
	if len(failed) > 0 {
		err = errors.Join(err, fmt.Errorf("failed: %s", strings.Join(failed, ", ")))
	}
	fmt.Fprintf(os.Stderr, "\nthe report is %s/README.md\n", c.out)
	return err
}
