package supervisor

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// The helper is found where its number is the next after the highest that the child is given, to which Go moves a pipe of its own.
func TestHelperPath(t *testing.T) {
	bin, err := os.Open("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer bin.Close()
	number, err := unix.FcntlInt(bin.Fd(), unix.F_DUPFD_CLOEXEC, 300)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{self: os.NewFile(uintptr(number), "helper")}
	defer s.self.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), number-1, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	below := os.NewFile(uintptr(number-1), "below")
	defer below.Close()
	cmd := exec.Command(s.helperPath())
	cmd.Stdout = below
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}
