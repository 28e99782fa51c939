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
	return exitOf(syscall.WaitStatus(info.Exit_code)), nil
}

func exitOf(status syscall.WaitStatus) Exit {
	x := Exit{When: time.Now(), Code: status.ExitStatus()}
	if status.Signaled() {
		x.Signal = status.Signal()
		x.Code = 128 + int(x.Signal)
	}
	return x
}

// UnreapedExit returns the exit status of a process that is dead and whose parent, somebody else, has not asked for it yet:
// some take seconds. The caller knows that all its threads have ended. ErrNoStatus where there is no such process, or the
// kernel would not show it to us: it shows 0 then.
func UnreapedExit(pid int, startTime uint64) (Exit, error) {
	var caps [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]); err != nil {
		return Exit{}, fmt.Errorf("%w: %w", ErrNoStatus, err)
	}
	p, err := Stat(pid)
	if err != nil || p.StartTime != startTime || !p.Zombie || caps[0].Effective&(1<<unix.CAP_SYS_PTRACE) == 0 {
		return Exit{}, ErrNoStatus
	}
	return exitOf(p.Status), nil
}

// A Process is what /proc/PID/stat tells.
type Process struct {
	StartTime uint64
	Parent    int
	Zombie    bool
	Status    syscall.WaitStatus // of a zombie
}

// Stat reads /proc/PID/stat.
func Stat(pid int) (Process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 50 {
		return Process{}, fmt.Errorf("stat of pid %d has %d fields", pid, len(f))
	}
	parent, err1 := strconv.Atoi(f[1])
	start, err2 := strconv.ParseUint(f[19], 10, 64)
	status, err3 := strconv.ParseUint(f[49], 10, 32)
	return Process{StartTime: start, Parent: parent, Zombie: f[0] == "Z", Status: syscall.WaitStatus(status)}, errors.Join(err1, err2, err3)
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
