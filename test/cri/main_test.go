package cri

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	containerdToo = flag.Bool("containerd", false, "ask upstream's containerd too; it is built first where it is missing")
	handler       = flag.String("handler", "", "another OCI runtime (crun, runc) that our side runs all pods by; cases of accepted.yaml may differ")
	cniDir        = flag.String("cni", "/usr/lib/cni", "folder of the CNI plugins that containerd uses")
)

// TestMain runs the tests in namespaces of their own, so that no packet can leave and no mount can stay.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make containers: run them as root")
		os.Exit(1)
	}
	if s := os.Getenv(servesVariable); s != "" {
		if err := serve(s); err != nil {
			fmt.Fprintln(os.Stderr, "runtime:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv("MINATO_CRI_TEST") == "" {
		os.Exit(again())
	}
	os.Exit(func() int {
		if err := privateCDI(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "set lo up:", err)
			return 1
		}
		return m.Run()
	}())
}

// privateCDI gives the tests a directory of device specifications that nobody else sees.
func privateCDI() error {
	if err := os.MkdirAll(cdiDir, 0o755); err != nil {
		return err
	}
	return unix.Mount("tmpfs", cdiDir, "tmpfs", 0, "")
}

// again builds the shim, unless one is named, and runs this test binary once more.
func again() int {
	dir, err := os.MkdirTemp("", "critest")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shim := os.Getenv("MINATO_SHIM")
	if shim == "" {
		shim = filepath.Join(dir, "minato-shim")
		build := exec.Command("go", "build", "-tags", "osusergo netgo seccomp runc_nocriu",
			"-ldflags", "-s -w -linkmode external -extldflags -static", "-o", shim, "minato.dev/minato/cmd/minato-shim")
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build minato-shim: %v\n%s", err, out)
			return 1
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), "MINATO_CRI_TEST=1", "MINATO_SHIM="+shim)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			return e.ExitCode()
		}
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
