// Package alone runs the tests of a package where they can do no harm: in a network namespace that has only a loopback link,
// so that no packet leaves the machine and nothing of its network changes. It ends with its last process.
package alone

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// inside says that this process is there already.
const inside = "MINATO_TEST_INSIDE"

// A Place is where tests run.
type Place struct {
	Root   string                                     // what the tests need root for, "make containers"; empty: root is not asked for
	Mounts bool                                       // a mount namespace too
	Before func(dir string) (env []string, err error) // outside, first; dir and env are there for as long as the tests run; may be nil
	After  func() error                               // inside, before the tests; may be nil
}

// Run runs the tests there, for which it starts this program once more, and returns the status to exit with.
func (p Place) Run(m *testing.M) int {
	if os.Getenv(inside) == "" {
		return said(p.enter())
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err == nil && p.After != nil {
		err = p.After()
	}
	if err != nil {
		return said(fmt.Errorf("prepare the namespace: %w", err))
	}
	return m.Run()
}

// said is the exit status that err stands for; what is not a test's own failure is told.
func said(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended) && ended.Exited():
		return ended.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (p Place) enter() error {
	if p.Root != "" && os.Geteuid() != 0 {
		return fmt.Errorf("these tests %s: run them as root", p.Root)
	}
	dir, err := os.MkdirTemp("", "alone")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if p.Mounts {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS // which makes mounts private, as Cloneflags alone would not
	}
	if p.Before != nil {
		env, err := p.Before(dir)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, env...)
	}
	runtime.LockOSThread() // the tests end with the thread that started them
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
