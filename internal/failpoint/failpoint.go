// Package failpoint ends the program at a point of its work that a test has chosen, as SIGKILL would.
//
// The rooms that work in steps (runtime, kubelet) call a Func at each; it is nil outside of tests, where the plug board
// finds MINATO_FAILPOINT in the environment. A Func is safe for concurrent use. To test what a room does after a death,
// run the whole program with it, or give the room a Func of your own.
package failpoint

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Env is the variable that names the point.
const Env = "MINATO_FAILPOINT"

// A Func is told of each point that is reached, by its name.
type Func func(point string)

// Parse reads "N", the Nth point of all, or "NAME:N", the Nth time that NAME is reached. Empty is nil: nothing happens.
func Parse(spec string) (Func, error) { return parse(spec, die) }

func parse(spec string, end func()) (Func, error) {
	if spec == "" {
		return nil, nil
	}
	name, count := "", spec
	if i := strings.LastIndexByte(spec, ':'); i >= 0 {
		name, count = spec[:i], spec[i+1:]
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%s=%q: want N or NAME:N, N counting from 1", Env, spec)
	}
	var reached atomic.Int64
	return func(point string) {
		if (name == "" || name == point) && reached.Add(1) == n {
			end()
		}
	}, nil
}

// die ends the process with nothing tidied up.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // until it has come
}
