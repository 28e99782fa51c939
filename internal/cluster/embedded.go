package cluster

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// programs holds the small programs that `make build` puts into bin/ before it builds minato: minato-shim, the parent
// of all containers, and minato-hello, the built-in image.
//
//go:embed all:bin
var programs embed.FS

// program returns an embedded program.
func program(name string) ([]byte, error) {
	b, err := programs.ReadFile("bin/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this minato was built without %s: build it with `make build`", name)
	}
	return b, err
}

// extract puts an embedded program into dir under a name with its hash, so that a new version never overwrites one
// that runs, and returns its path.
func extract(dir, name string) (string, error) {
	b, err := program(name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	path := filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:6]))
	if st, err := os.Stat(path); err == nil && st.Size() == int64(len(b)) && st.Mode().Perm() == 0o755 {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return path, writeFile(path, b, 0o755)
}
