package supervisor

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/crilog"
)

// pipes are a new container's streams. Output is an anonymous pipe whose write end is opened for reading too: while no
// shim reads, the container blocks at worst and never gets SIGPIPE, and the bytes stay.
type pipes struct {
	theirs      [3]*os.File // stdin, stdout, stderr of the process
	stdin       *os.File    // our write end, nil without stdin
	outs        [2]*os.File // our read ends, nil with a terminal
	inodes      [3]uint64
	consoleOurs *os.File // a socket that receives the terminal
	// consoleTheirs goes to the helper.
	consoleTheirs *os.File
}

func newPipes(terminal, stdin bool) (p *pipes, err error) {
	p = &pipes{}
	defer func() {
		if err != nil {
			p.closeTheirs()
			closeFiles(p.stdin, p.outs[0], p.outs[1], p.consoleOurs)
		}
	}()
	if stdin && !terminal {
		if p.theirs[0], p.stdin, err = os.Pipe(); err != nil {
			return p, err
		}
		p.inodes[0] = inode(p.theirs[0])
	} else if p.theirs[0], err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return p, err
	}
	if terminal {
		p.theirs[1], p.theirs[2] = p.theirs[0], p.theirs[0]
		p.consoleOurs, p.consoleTheirs, err = socketpair()
		return p, err
	}
	for i := range p.outs {
		if p.outs[i], p.theirs[1+i], err = outputPipe(); err != nil {
			return p, err
		}
		p.inodes[1+i] = inode(p.outs[i])
	}
	return p, nil
}

func outputPipe() (ours, theirs *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe", err)
	}
	defer unix.Close(fds[1])
	ours = os.NewFile(uintptr(fds[0]), "output")
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fds[1]), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		ours.Close()
		return nil, nil, fmt.Errorf("reopen pipe: %w", err)
	}
	return ours, os.NewFile(uintptr(fd), "output"), nil
}

func socketpair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "console"), os.NewFile(uintptr(fds[1]), "console"), nil
}

func inode(f *os.File) uint64 {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return 0
	}
	return st.Ino
}

func (p *pipes) closeTheirs() { closeFiles(p.theirs[0], p.theirs[1], p.theirs[2], p.consoleTheirs) }

// closeFiles closes files, of which some may be nil or the same.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// adoptPipes gives our ends to the keeper and starts to read.
func (s *Supervisor) adoptPipes(c *container, p *pipes) error {
	id := c.rec.Request.ID
	if p.stdin != nil {
		if err := s.hold(id, heldStdin, p.stdin); err != nil {
			return err
		}
		s.setStdin(c, p.stdin)
	}
	for i, name := range []string{heldStdout, heldStderr} {
		if p.outs[i] == nil {
			continue
		}
		if err := s.hold(id, name, p.outs[i]); err != nil {
			return err
		}
		if err := s.openStream(c, i, p.outs[i]); err != nil {
			return err
		}
	}
	return nil
}

// setStdin makes f, the write end of stdin, one that never blocks a thread.
func (s *Supervisor) setStdin(c *container, f *os.File) {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	c.stdin = pollable(f)
}

// pollable returns f's descriptor as a file that Go's poller waits for, and takes f over.
func pollable(f *os.File) *os.File {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return f
	}
	defer f.Close()
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), f.Name())
}

// receiveConsole takes the terminal's master from the helper's socket.
func (s *Supervisor) receiveConsole(c *container, sock *os.File) error {
	defer sock.Close()
	master, err := receiveFile(sock)
	if err != nil {
		return fmt.Errorf("receive terminal: %w", err)
	}
	if err := s.hold(c.rec.Request.ID, heldConsole, master); err != nil {
		master.Close()
		return err
	}
	return s.adoptConsole(c, master)
}

// adoptConsole reads the terminal's output; the same master, duplicated, takes its input and size.
func (s *Supervisor) adoptConsole(c *container, master *os.File) error {
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		master.Close()
		return os.NewSyscallError("dup", err)
	}
	reader := os.NewFile(uintptr(fd), "terminal")
	s.pump.mu.Lock()
	c.console = pollable(master)
	s.pump.mu.Unlock()
	return s.openStream(c, crilog.Stdout, reader)
}

func receiveFile(sock *os.File) (*os.File, error) {
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, oobn, _, _, err := unix.Recvmsg(int(sock.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) == 0 {
		return nil, errors.New("no descriptor came")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return nil, errors.New("no descriptor came")
	}
	return os.NewFile(uintptr(fds[0]), "terminal"), nil
}
