package hold

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoStatus is returned where the kernel does not tell the exit status of a process that is not our child.
var ErrNoStatus = errors.New("exit status not available")

// ExitOf returns the exit status of a process that somebody else has reaped, from a pidfd opened while it lived.
func ExitOf(pidfd int) (Exit, error) {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(pidfd, &info); err != nil {
		return Exit{}, fmt.Errorf("%w: %w", ErrNoStatus, err)
	}
	if info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return Exit{}, ErrNoStatus
	}
	status := syscall.WaitStatus(info.Exit_code)
	x := Exit{When: time.Now(), Code: status.ExitStatus()}
	if status.Signaled() {
		x.Signal = status.Signal()
		x.Code = 128 + int(x.Signal)
	}
	return x, nil
}

// A Process is what /proc/PID/stat tells.
type Process struct {
	StartTime uint64
	Parent    int
	Zombie    bool
}

// Stat reads /proc/PID/stat.
func Stat(pid int) (Process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return Process{}, fmt.Errorf("stat of pid %d has %d fields", pid, len(f))
	}
	parent, err1 := strconv.Atoi(f[1])
	start, err2 := strconv.ParseUint(f[19], 10, 64)
	return Process{StartTime: start, Parent: parent, Zombie: f[0] == "Z" || f[0] == "X"}, errors.Join(err1, err2)
}

// OpenPid returns a pidfd of exactly the process that started at startTime; unix.ESRCH if it no longer exists.
func OpenPid(pid int, startTime uint64) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	p, err := Stat(pid)
	if err != nil || p.StartTime != startTime {
		unix.Close(fd)
		return nil, unix.ESRCH
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}
