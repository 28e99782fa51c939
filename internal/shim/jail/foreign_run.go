//go:build cgo

package jail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A foreign is an OCI runtime of the node, by the command line that runc made common.
type foreign struct {
	binary, root, dir, id string
	terminal              bool
}

// newForeign keeps what only the helper shall have from the runtime and its containers.
func newForeign(dir string, r Request) (*foreign, error) {
	for fd := 3; fd < 8; fd++ {
		unix.CloseOnExec(fd)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	if err := unix.Setpgid(0, 0); err != nil { // the group by which a session is killed
		return nil, os.NewSyscallError("setpgid", err)
	}
	if err := hideUnified(); err != nil {
		return nil, err
	}
	return &foreign{binary: r.Runtime, root: r.ForeignRoot, dir: dir, id: r.ID, terminal: r.Terminal}, nil
}

func (f *foreign) name() string { return filepath.Base(f.binary) }

// run runs one command to its end. Its words are taken from the runtime's log, for its streams are the container's.
func (f *foreign) run(args ...string) error {
	log := filepath.Join(f.dir, "runtime.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := exec.Command(f.binary, append([]string{"--root", f.root, "--log", log, "--log-format", "json"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if why := lastError(log); why != "" {
		return fmt.Errorf("%s %s: %s", f.name(), args[0], why)
	}
	return fmt.Errorf("%s %s: %w", f.name(), args[0], err)
}

// lastError is the message of the log's last error.
func lastError(log string) (why string) {
	b, _ := os.ReadFile(log) // without one the exit status has to do
	for line := range bytes.Lines(b) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(line, &entry) == nil && (entry.Level == "error" || entry.Level == "fatal") {
			why = strings.TrimSpace(entry.Msg)
		}
	}
	return why
}

// status is the runtime's word for what the container does.
func (f *foreign) status() (string, error) {
	out, err := exec.Command(f.binary, "--root", f.root, "state", f.id).Output()
	if err != nil {
		return "", fmt.Errorf("%s state: %w", f.name(), err)
	}
	var st struct{ Status string }
	err = json.Unmarshal(out, &st)
	return st.Status, err
}

// hideUnified takes the v2 hierarchy out of sight where controllers are split between it and v1, which crun refuses to
// run beside. Mounts keep their peers: what a container mounts in a shared volume is still seen on the node.
func hideUnified() error {
	const top, unified = "/sys/fs/cgroup", "/sys/fs/cgroup/unified"
	controllers, err := os.ReadFile(unified + "/cgroup.controllers")
	if err != nil || len(bytes.TrimSpace(controllers)) == 0 {
		return nil
	}
	runtime.LockOSThread() // for good: the namespace is this thread's
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", top, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make %s private: %w", top, err)
	}
	if err := unix.Unmount(unified, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("hide %s: %w", unified, err)
	}
	return nil
}
