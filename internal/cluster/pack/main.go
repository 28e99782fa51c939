// Command pack puts a program, compressed, where the cluster package embeds it:
//
//	pack DIR PROGRAM...
//
// writes DIR/<name>.<SHA-256 of the program>.zst for each and removes every other *.zst and every bare copy of it. The
// name lets minato know, without decompressing anything, whether the file that it extracted at an earlier start is still
// the right one. Only `make embedded` calls it; a file that is already right is left alone, so that an unchanged build
// stays cached.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pack DIR PROGRAM...")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(dir string, programs []string) error {
	for _, p := range programs {
		if err := packOne(dir, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

func packOne(dir, program string) error {
	raw, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	name := filepath.Base(program)
	want := filepath.Join(dir, fmt.Sprintf("%s.%x.zst", name, sha256.Sum256(raw)))
	if err := removeOthers(dir, name, want); err != nil {
		return err
	}
	if _, err := os.Stat(want); err == nil {
		return nil
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	return os.WriteFile(want, enc.EncodeAll(raw, nil), 0o644)
}

func removeOthers(dir, name, keep string) error {
	old, err := filepath.Glob(filepath.Join(dir, name+".*.zst"))
	if err != nil {
		return err
	}
	for _, f := range append(old, filepath.Join(dir, name)) {
		if f == keep {
			continue
		}
		if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
