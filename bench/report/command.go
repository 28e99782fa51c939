package report

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the whole of a bench command after its flags are registered: it parses them, calls run with a context that
// ends at an interrupt, prints what run added to the result as Markdown, and with -json writes it to a file too, also
// when run failed half way. It ends the process: with 1 where run failed.
func Main(r Result, run func(context.Context, *Result) error) {
	file := flag.String("json", "", "file to write the result to as data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r.Began, r.Machine = time.Now(), Here()
	err := run(ctx, &r)
	r.Took, r.LoadThen = time.Since(r.Began).Seconds(), Load()
	if err != nil {
		r.Failure = err.Error()
		fmt.Fprintf(os.Stderr, "bench/%s: %v\n", r.Bench, err)
	}
	r.Markdown(os.Stdout)
	if *file != "" {
		if failed := r.Write(*file); failed != nil {
			fmt.Fprintf(os.Stderr, "bench/%s: %v\n", r.Bench, failed)
			os.Exit(1)
		}
	}
	if err != nil {
		os.Exit(1)
	}
}
