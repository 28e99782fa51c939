//go:build cgo

package jail

import (
	"fmt"
	"io"
	"path/filepath"

	_ "github.com/opencontainers/cgroups/devices" // lets the cgroup manager set device rules
	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // enters namespaces before the Go runtime starts
	"github.com/sirupsen/logrus"
)

// Init is libcontainer's re-entry as the container's first process; it does not return.
func Init() { libcontainer.Init() }

var verbs = map[string]func(dir string, r Request) (Result, error){
	"create":  create,
	"exec":    execute,
	"update":  update,
	Poststart: afterStart, Poststop: afterEnd,
	// For containers of another OCI runtime.
	"foreign-create": foreignCreate,
	"foreign-start":  foreignStart,
	"foreign-exec":   foreignExec,
	"foreign-delete": foreignDelete,
}

// Verb reports whether the helper knows it.
func Verb(verb string) bool { return verbs[verb] != nil }

// Run performs the request in dir and writes the result there. The error is about the result not being written; that
// the request failed is in the result.
func Run(verb, dir string) error {
	logrus.SetOutput(io.Discard) // its streams are the container's; everything that matters is returned
	var r Request
	if err := ReadJSON(filepath.Join(dir, requestFile), &r); err != nil {
		return fmt.Errorf("helper %s: %w", verb, err)
	}
	result, err := verbs[verb](dir, r)
	if err != nil {
		result = Result{Error: err.Error()}
	}
	return WriteJSON(filepath.Join(dir, resultFile), result)
}
