// Package jail builds containers and enters them.
//
// Nearly all of them are built and entered in C (cmd/minato-shim/enter.c, build.c), by a request that is made here, in the
// shim: a Bundle is read, its cgroups are made by Build, and "minato-shim build DIR" or "enter DIR" does what must be done
// in the container's namespaces. What that leaves out (ErrUnfit: user namespaces, terminals, security labels, scheduling
// policies) libcontainer does in a short-lived helper, "minato-shim create|exec|update DIR": DIR holds request.json.
// Containers of another OCI runtime (crun, runc) are left to that program by "minato-shim foreign-create|start|exec|delete DIR".
// In each way result.json is the last act, so that a shim that crashed meanwhile finds either a whole answer or none.
// Standard streams of the process are the helper's own; descriptor 3 is the console socket where there is a terminal. The
// same binary is re-entered as "init" by libcontainer; importing this package links that entry. Filters and entries are
// safe for concurrent use, and Build is. It is tested through internal/shim's client with a real kernel, both ways against
// each other.
package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A Request is what the helper shall do.
type Request struct {
	Root     string `json:"root"` // libcontainer's state directory
	ID       string `json:"id"`
	Bundle   string `json:"bundle"`
	Terminal bool   `json:"terminal,omitempty"`
	// Exec is the process of an exec session; its zero fields are filled from the bundle's process.
	Exec *ExecProcess `json:"exec,omitempty"`
	// Resources to set (update).
	Resources *specs.LinuxResources `json:"resources,omitempty"`
	// Above are cgroups, not the container's own, that the process of an exec session joins.
	Above []string `json:"above,omitempty"`
	// Made is the container's making, for exec and update of one that libcontainer did not make.
	Made *Result `json:"made,omitempty"`
	// Runtime is the program of another OCI runtime and ForeignRoot where it keeps its state (foreign-*).
	Runtime     string `json:"runtime,omitempty"`
	ForeignRoot string `json:"foreignRoot,omitempty"`
}

// An ExecProcess says what differs from the container's own process.
type ExecProcess struct {
	Args   []string    `json:"args"`
	Env    []string    `json:"env,omitempty"`
	Cwd    string      `json:"cwd,omitempty"`
	User   *specs.User `json:"user,omitempty"`
	Width  uint16      `json:"width,omitempty"`
	Height uint16      `json:"height,omitempty"`
}

// A Result is the helper's answer.
type Result struct {
	Error string `json:"error,omitempty"`
	// Unfit says that entry.go's way cannot do it; nothing was started.
	Unfit     bool   `json:"unfit,omitempty"`
	Pid       int    `json:"pid,omitempty"`
	StartTime uint64 `json:"startTime,omitempty"`
	// CgroupPaths are the absolute directories of the container's cgroups, by controller ("" on cgroup v2).
	CgroupPaths map[string]string `json:"cgroupPaths,omitempty"`
	// Exit is how the process ended, where it did before the helper.
	Exit *Exit `json:"exit,omitempty"`
}

// An Exit is the end of a process.
type Exit struct {
	Code   int            `json:"code"` // 128+signal for a signal
	Signal syscall.Signal `json:"signal,omitempty"`
	When   time.Time      `json:"when"`
}

const (
	requestFile   = "request.json"
	resultFile    = "result.json"
	resourcesFile = "resources.json"
	cgroupsFile   = "cgroups.json"
)

// WriteRequest stores r in dir, which is made, and removes an older result.
func WriteRequest(dir string, r Request) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, resultFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return WriteJSON(filepath.Join(dir, requestFile), r)
}

// ResultPath is where the helper's answer is.
func ResultPath(dir string) string { return filepath.Join(dir, resultFile) }

// ReadResult returns the helper's answer; fs.ErrNotExist if it gave none.
func ReadResult(dir string) (Result, error) {
	var r Result
	err := ReadJSON(filepath.Join(dir, resultFile), &r)
	if err == nil && r.CgroupPaths == nil {
		err = ReadJSON(filepath.Join(dir, cgroupsFile), &r.CgroupPaths)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // of an exec session
		}
	}
	return r, err
}

// WriteCgroups stores, beside the result that a build will give, the container's cgroups.
func WriteCgroups(dir string, paths map[string]string) error {
	return WriteJSON(filepath.Join(dir, cgroupsFile), paths)
}

// WriteJSON replaces the file at path atomically. It does not sync: what the shim records is about processes, which do
// not survive a crash of the machine either.
func WriteJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// ReadJSON decodes the file at path.
func ReadJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// loadProcess reads only the process of a bundle whose config.json LoadSpec has accepted before; the rest, above all the
// seccomp profile, is skipped, which an exec session notices.
func loadProcess(bundle string) (*specs.Process, error) {
	var s struct {
		Process *specs.Process `json:"process"`
	}
	if err := ReadJSON(filepath.Join(bundle, "config.json"), &s); err != nil {
		return nil, err
	}
	if s.Process == nil {
		return nil, fmt.Errorf("%s/config.json: process is gone", bundle)
	}
	return s.Process, nil
}

// LoadSpec reads and checks a bundle's config.json as far as the shim depends on it.
func LoadSpec(bundle string) (*specs.Spec, error) {
	var s specs.Spec
	if err := ReadJSON(filepath.Join(bundle, "config.json"), &s); err != nil {
		return nil, err
	}
	return &s, check(bundle, &s)
}

func check(bundle string, s *specs.Spec) error {
	bad := func(field, mend string) error { return fmt.Errorf("%s/config.json: %s: %s", bundle, field, mend) }
	switch {
	case s.Process == nil || len(s.Process.Args) == 0:
		return bad("process.args", "must name a program")
	case !filepath.IsAbs(s.Process.Cwd):
		return bad("process.cwd", "must be an absolute path")
	case s.Root == nil || s.Root.Path == "":
		return bad("root.path", "must name the mounted root file system")
	case s.Linux == nil || s.Linux.CgroupsPath == "":
		return bad("linux.cgroupsPath", `must name the container's cgroup, e.g. "/pods/a/b"`)
	case !filepath.IsAbs(s.Linux.CgroupsPath) || filepath.Clean(s.Linux.CgroupsPath) == "/":
		return bad("linux.cgroupsPath", "must be absolute and not the root")
	}
	return nil
}
