// Command pack puts programs, compressed, where the cluster package embeds them:
//
//	pack DIR BASE PROGRAM...
//
// writes DIR/<name>.<SHA-256 of the program>.calls.zst for BASE and, with what they have in common with BASE (Go's runtime, for
// one) left out, DIR/<name>.<SHA-256>-<first 12 digits of BASE's>.calls.zst for each other. What is compressed has its calls
// as package calls leaves them. Every other *.zst and every bare copy of them is removed. The name lets minato know, without
// decompressing anything, whether the file that it extracted at an earlier start is still the right one. Only `make embedded`
// calls it; a file that is already right is left alone, so that an unchanged build stays cached. It is Debian's zstd that
// compresses: no library in Go comes within an eighth of it.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"minato.dev/minato/internal/cluster/calls"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pack DIR BASE PROGRAM...")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// pack packs the first program by itself and the others against it.
func pack(dir string, programs []string) error {
	work, err := os.MkdirTemp("", "pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	base := ""
	for _, p := range programs {
		raw, err := os.ReadFile(p)
		if err == nil {
			err = packOne(dir, work, filepath.Base(p), base, raw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if base == "" {
			base = filepath.Base(p)
		}
	}
	return nil
}

// packOne packs program, of which it leaves the form that is compressed in work, where base has its own.
func packOne(dir, work, name, base string, program []byte) error {
	sum := fmt.Sprintf("%x", sha256.Sum256(program))
	calls.Absolute(program)
	form := filepath.Join(work, name)
	if err := os.WriteFile(form, program, 0o644); err != nil {
		return err
	}
	args := []string{"-19", "-qq", form}
	if base != "" {
		against, err := os.ReadFile(filepath.Join(work, base))
		if err != nil {
			return err
		}
		calls.Relative(against)
		sum += fmt.Sprintf("-%x", sha256.Sum256(against))[:13]
		args = append(args, "--patch-from", filepath.Join(work, base))
	}
	want := filepath.Join(dir, name+"."+sum+".calls.zst")
	if err := removeOthers(dir, name, want); err != nil {
		return err
	}
	if _, err := os.Stat(want); err == nil {
		return nil
	}
	cmd := exec.Command("zstd", append(args, "-o", want+".new")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	return os.Rename(want+".new", want)
}

func removeOthers(dir, name, keep string) error {
	old, err := filepath.Glob(filepath.Join(dir, name+".*.zst*"))
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
