// Command minato-shim is the parent of all containers of a node, in one small binary with several modes; see
// internal/shim for its door and internal/shim/supervisor for the process itself.
//
//	minato-shim launch RUNDIR [CGROUP]   moves away from its caller and becomes the keeper
//	minato-shim keeper RUNDIR            keeper.c, before the Go runtime starts
//	minato-shim shim RUNDIR ...          started by the keeper
//	minato-shim door RUNDIR              door.c, enter.c and build.c, before the Go runtime starts
//	minato-shim create|exec|update DIR   the helper, started by the shim
//	minato-shim foreign-VERB DIR         the helper, for containers of another OCI runtime
//	minato-shim init                     libcontainer's re-entry inside a new container
//	minato-shim selftest                 exits 0 if this binary can run here
//
// It is linked statically and needs a C compiler and libseccomp's headers (for constants only):
//
//	CGO_ENABLED=1 go build -tags 'osusergo netgo seccomp runc_nocriu' \
//	    -ldflags '-s -w -linkmode external -extldflags -static' ./cmd/minato-shim
package main

// #cgo CFLAGS: -O2 -Wall -Wextra
import "C"

import (
	"context"
	"fmt"
	"os"

	"minato.dev/minato/internal/shim/jail"
	"minato.dev/minato/internal/shim/supervisor"
)

// version is set by the linker.
var version = "dev"

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "minato-shim:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no mode given; the node's runtime starts this program")
	}
	switch mode := args[0]; {
	case mode == "init":
		jail.Init()
		return nil
	case jail.Verb(mode) && len(args) == 2:
		return jail.Run(mode, args[1])
	case mode == "launch" && len(args) >= 2:
		return supervisor.Launch(args[1], args[2:])
	case mode == "shim" && len(args) >= 2:
		return supervisor.Main(context.Background(), version, args[1:])
	case mode == "selftest":
		return supervisor.SelfTest(version)
	default:
		return fmt.Errorf("unknown mode %q or wrong number of arguments", mode)
	}
}
