// Command minato-hello is the program in the image minato.local/hello: a small web server that says where it runs.
//
// It speaks just enough HTTP/1.1 by itself, because net/http would make it four times as large. PORT is its port (80).
// For tests it can also print, sleep and exit:
//
//	hello -print TEXT -sleep 2s -exit 3
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	text := flag.String("print", "", "print this line and do not serve")
	sleep := flag.Duration("sleep", 0, "wait this long and do not serve")
	exit := flag.Int("exit", -1, "end with this status and do not serve")
	port := flag.String("port", envOr("PORT", "80"), "port to serve on (environment PORT)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *text != "" || *sleep > 0 || *exit >= 0 {
		os.Exit(perform(ctx, *text, *sleep, *exit))
	}
	if err := serve(ctx, net.JoinHostPort("", *port), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

// perform prints, waits and returns the exit status; a signal ends the wait.
func perform(ctx context.Context, text string, sleep time.Duration, exit int) int {
	if text != "" {
		fmt.Println(text)
	}
	select {
	case <-time.After(sleep):
	case <-ctx.Done():
	}
	return max(exit, 0)
}

func envOr(key, otherwise string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	return otherwise
}
