package kit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/run"
)

// hostname is what steps see unless the build says otherwise; it is BuildKit's, so that caches mean the same.
const hostname = "buildkitsandbox"

func utsPath(p build.Place) string { return filepath.Join(p.Run, "uts") }

// shareName has a step with the usual name join one namespace for all: a container without a name of its own is made
// by the shim alone, at a third of what libcontainer takes. No step can change it.
func (s *steps) shareName(ctx context.Context, spec *specs.Spec) error {
	if spec.Hostname != hostname {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.named {
		if err := makeName(ctx, utsPath(s.place)); err != nil {
			return fmt.Errorf("name the steps' host: %w", err)
		}
		s.named = true
	}
	for i, ns := range spec.Linux.Namespaces {
		if ns.Type == specs.UTSNamespace {
			spec.Linux.Namespaces[i].Path, spec.Hostname = utsPath(s.place), ""
		}
	}
	return nil
}

// makeName pins a namespace that has the name at path. sweep takes it away.
func makeName(ctx context.Context, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("namespace", func(context.Context) error {
			runtime.LockOSThread() // for good: the thread ends with this goroutine and is used for nothing else
			if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
				return os.NewSyscallError("unshare", err)
			}
			if err := unix.Sethostname([]byte(hostname)); err != nil {
				return os.NewSyscallError("sethostname", err)
			}
			return os.NewSyscallError("mount", unix.Mount("/proc/thread-self/ns/uts", path, "", unix.MS_BIND, ""))
		})
		return nil
	})
}
