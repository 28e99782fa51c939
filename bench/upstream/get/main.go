// Command get builds programs of upstream's that are not built yet, and prints where they are:
//
//	go run ./bench/upstream/get kubelet
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"minato.dev/minato/bench/upstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := upstream.Build(ctx, upstream.Dir(), os.Args[1:]...)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range os.Args[1:] {
		fmt.Println(filepath.Join(upstream.Dir(), name))
	}
}
