package cluster

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"minato.dev/minato/internal/cluster/calls"
)

// programs holds the small programs that `make build` puts into bin/ before it builds minato, compressed and named after
// their content by internal/cluster/pack: minato-shim, the parent of all containers, minato-hello, the built-in image, and
// minato-build, which makes images.
//
//go:embed all:bin
var programs embed.FS

// A program is one of them.
type program struct {
	name string
	sum  string // SHA-256 of the program in hexadecimal
	base string // the first digits of that of base, which it is packed against; "" where it is packed alone
	file string // among programs; megabytes, which reading copies
}

// base is the program that the others are packed against: much of a Go program is the same in all.
const base = "minato-shim"

// packed ends the names of programs that are packed as they are unpacked here.
const packed = ".calls.zst"

// embedded returns the program of that name.
func embedded(name string) (program, error) {
	files, err := fs.Glob(programs, "bin/"+name+".*"+packed)
	if err != nil || len(files) != 1 {
		return program{}, fmt.Errorf("this minato was built without %s: build it with `make build`", name)
	}
	sum := strings.TrimSuffix(strings.TrimPrefix(files[0], "bin/"+name+"."), packed)
	sum, against, _ := strings.Cut(sum, "-")
	return program{name: name, sum: sum, base: against, file: files[0]}, nil
}

// size is the program's size in bytes; it is in the header of what is packed.
func (p program) size() (int64, error) {
	f, err := programs.Open(p.file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	start := make([]byte, zstd.HeaderMaxSize)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("embedded %s: %w", p.name, err)
	}
	var h zstd.Header
	if err := h.Decode(start[:n]); err != nil {
		return 0, fmt.Errorf("embedded %s: %w", p.name, err)
	}
	return int64(h.FrameContentSize), nil
}

// unpack returns the program itself. What it is packed against may be in dir, unpacked, which saves unpacking it again.
func (p program) unpack(dir string) ([]byte, error) {
	b, err := p.decompress(dir)
	if err == nil {
		calls.Relative(b)
	}
	return b, err
}

// decompress returns what was compressed: the program with its calls as package calls changes them.
func (p program) decompress(dir string) ([]byte, error) {
	opts := []zstd.DOption{zstd.WithDecoderConcurrency(1)}
	if p.base != "" {
		b, err := p.compressedBase(dir)
		if err != nil {
			return nil, err
		}
		opts = append(opts, zstd.WithDecoderDictRaw(0, b))
	}
	dec, err := zstd.NewReader(nil, opts...)
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	file, err := programs.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	b, err := dec.DecodeAll(file, nil)
	if err != nil {
		return nil, fmt.Errorf("embedded %s: %w", p.name, err)
	}
	return b, nil
}

// compressedBase returns what of base was compressed.
func (p program) compressedBase(dir string) ([]byte, error) {
	b, err := embedded(base)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(b.sum, p.base) {
		return nil, fmt.Errorf("embedded %s was packed against another %s: build minato with `make build`", p.name, base)
	}
	if file, err := os.ReadFile(b.extracted(dir)); err == nil && fmt.Sprintf("%x", sha256.Sum256(file)) == b.sum {
		calls.Absolute(file)
		return file, nil
	}
	return b.decompress(dir)
}

// extracted is where the program is, once it is extracted to dir.
func (p program) extracted(dir string) string { return filepath.Join(dir, p.name+"-"+p.sum[:12]) }

// extract puts an embedded program into dir under a name with its hash, so that a new version never overwrites one
// that runs, and returns its path. A file of that name and the right size is the program: it was written atomically.
func extract(dir, name string) (string, error) {
	p, err := embedded(name)
	if err != nil {
		return "", err
	}
	size, err := p.size()
	if err != nil {
		return "", err
	}
	path := p.extracted(dir)
	if st, err := os.Stat(path); err == nil && st.Size() == size && st.Mode().Perm() == 0o755 {
		return path, nil
	}
	b, err := p.unpack(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return path, writeFile(path, b, 0o755)
}
