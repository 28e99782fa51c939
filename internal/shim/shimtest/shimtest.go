// Package shimtest gives tests the minato-shim that they need.
package shimtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Variable names the shim for tests; where it is empty one is built.
const Variable = "MINATO_SHIM"

// Program returns the path of the shim that Variable names, or of one that it builds in dir.
func Program(dir string) (string, error) {
	if named := os.Getenv(Variable); named != "" {
		return named, nil
	}
	path := filepath.Join(dir, "minato-shim")
	build := exec.Command("go", "build", "-tags", "osusergo netgo seccomp runc_nocriu",
		"-ldflags", "-s -w -linkmode external -extldflags -static", "-o", path, "minato.dev/minato/cmd/minato-shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build minato-shim: %w\n%s", err, out)
	}
	return path, nil
}

// Environment is Variable with the path of Program, for the tests' own process.
func Environment(dir string) ([]string, error) {
	path, err := Program(dir)
	return []string{Variable + "=" + path}, err
}
