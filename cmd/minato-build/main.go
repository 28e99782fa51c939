// Command minato-build makes images from Dockerfiles; `minato image build` runs it with an order, see internal/build.
//
//	minato-build ORDER                  ORDER is the JSON of a build.Order
//	minato-build early RECORD ARGS...   as cmd/minato/early executes it, with what stood after `minato image build`
//
// It is the only program that links BuildKit. Exit codes: 0 done, 1 failed, 2 wrong use.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/sirupsen/logrus"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/build/kit"
)

// gcPercent lets the heap grow more than usual before it is collected: most builds end before that is of use to anybody,
// and collecting was a quarter of what a cached one cost.
const gcPercent = 400

func main() { os.Exit(do(os.Args[1:])) }

func do(args []string) int {
	early := len(args) > 1 && args[0] == "early"
	if len(args) != 1 && !early {
		fmt.Fprintln(os.Stderr, "minato-build: `minato image build` runs this program; it takes one order")
		return 2
	}
	debug.SetGCPercent(gcPercent)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// BuildKit's libraries write what they do to this logger; what a user must know comes as progress or as an error.
	logrus.SetOutput(io.Discard)
	var o build.Order
	var err error
	if early {
		if o, err = build.Early(ctx, args[1], args[2:]); err != nil {
			err = whole(o.Place, args[2:])
		}
	} else {
		o, err = build.Decode(args[0])
	}
	if err == nil {
		err = kit.Run(ctx, o, kit.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "minato:", err)
	if errors.Is(err, build.ErrOrder) {
		return 2
	}
	return 1
}

// whole has minato see to the command line itself. It returns only where that fails.
func whole(p build.Place, args []string) error {
	if len(p.Pull) == 0 {
		return errors.New("the record of the builder is broken: remove bin/builder from the data directory")
	}
	err := syscall.Exec(p.Pull[0], append([]string{"minato", "image", "build"}, args...), append(os.Environ(), "MINATO_WHOLE=1"))
	return fmt.Errorf("run %s: %w", p.Pull[0], err)
}
