//go:build cgo

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A consoleRelay receives a terminal from an OCI runtime, which wants a socket with a name, and passes it on to the shim
// by descriptor 3.
type consoleRelay struct {
	dir  *os.File
	sock int
}

const consoleName = "console"

// consoleWait bounds the wait for a terminal; the runtime has sent it before it ends.
const consoleWait = 10 * time.Second

func newConsoleRelay(dir string) (*consoleRelay, error) {
	if err := os.RemoveAll(filepath.Join(dir, consoleName)); err != nil {
		return nil, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	c := &consoleRelay{dir: d}
	if c.sock, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		d.Close()
		return nil, os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(c.sock, &unix.SockaddrUnix{Name: c.path()}); err == nil {
		err = unix.Listen(c.sock, 1)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("console socket: %w", err)
	}
	return c, nil
}

// path leads through our open directory, whose own path may be longer than the name of a socket can be.
func (c *consoleRelay) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d/%s", os.Getpid(), c.dir.Fd(), consoleName)
}

func (c *consoleRelay) close() {
	unix.Close(c.sock)
	c.dir.Close()
}

// pass hands the terminal on.
func (c *consoleRelay) pass() error {
	p := []unix.PollFd{{Fd: int32(c.sock), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, int(consoleWait.Milliseconds())); n != 1 {
		return fmt.Errorf("no terminal came: %w", err)
	}
	conn, _, err := unix.Accept4(c.sock, unix.SOCK_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("accept", err)
	}
	defer unix.Close(conn)
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(conn, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("recvmsg", err)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(3, append(buf[:n], 0), oob[:oobn], nil, 0))
}
