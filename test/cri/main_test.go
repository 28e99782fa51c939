package cri

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run/alone"
	"minato.dev/minato/internal/shim/shimtest"
)

var (
	containerdToo = flag.Bool("containerd", false, "ask upstream's containerd too; it is built first where it is missing")
	handler       = flag.String("handler", "", "another OCI runtime (crun, runc) that our side runs all pods by; cases of accepted.yaml may differ")
	cniDir        = flag.String("cni", "/usr/lib/cni", "folder of the CNI plugins that containerd uses")
)

// TestMain runs the tests in namespaces of their own, so that no packet can leave and no mount can stay.
func TestMain(m *testing.M) {
	if s := os.Getenv(servesVariable); s != "" {
		if err := serve(s); err != nil {
			fmt.Fprintln(os.Stderr, "runtime:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(alone.Place{Root: "make containers", Mounts: true, Before: shimtest.Environment, After: privateCDI}.Run(m))
}

// privateCDI gives the tests a directory of device specifications that nobody else sees.
func privateCDI() error {
	if err := os.MkdirAll(cdiDir, 0o755); err != nil {
		return err
	}
	return unix.Mount("tmpfs", cdiDir, "tmpfs", 0, "")
}
