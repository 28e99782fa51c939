// Command pack puts programs, compressed, where the cluster package embeds them:
//
//	pack DIR BASE PROGRAM...
//
// writes DIR/<name>.<SHA-256 of the program>.zst for BASE and, with what they have in common with BASE (Go's runtime, for
// one) left out, DIR/<name>.<SHA-256>-<first 12 digits of BASE's>.zst for each other. Every other *.zst and every bare
// copy of them is removed. The name lets minato know, without decompressing anything, whether the file that it extracted
// at an earlier start is still the right one. Only `make embedded` calls it; a file that is already right is left alone,
// so that an unchanged build stays cached.
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
	var base []byte
	for _, p := range programs {
		raw, err := os.ReadFile(p)
		if err == nil {
			err = packOne(dir, filepath.Base(p), raw, base)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if base == nil {
			base = raw
		}
	}
	return nil
}

func packOne(dir, name string, raw, base []byte) error {
	// The window reaches over the base and the program, or what they have in common would not be found.
	opts := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window(len(raw) + len(base)))}
	sum := fmt.Sprintf("%x", sha256.Sum256(raw))
	if base != nil {
		sum += fmt.Sprintf("-%x", sha256.Sum256(base))[:13]
		opts = append(opts, zstd.WithEncoderDictRaw(dictionary, base))
	}
	want := filepath.Join(dir, name+"."+sum+".zst")
	if err := removeOthers(dir, name, want); err != nil {
		return err
	}
	if _, err := os.Stat(want); err == nil {
		return nil
	}
	enc, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		return err
	}
	return os.WriteFile(want, enc.EncodeAll(raw, nil), 0o644)
}

// dictionary is the number by which a packed program names its base.
const dictionary = 1

// window is the least power of two that holds n, within what readers take.
func window(n int) int {
	w := 8 << 20
	for w < n && w < 64<<20 {
		w *= 2
	}
	return w
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
