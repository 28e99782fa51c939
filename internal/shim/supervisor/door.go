package supervisor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// A door is our end of the process that builds and enters containers, cmd/minato-shim/door.c:
//
//	shut ── an order ──► open ── it ends: nothing to do for a minute, or killed ──► shut
//
// The zero value is shut. Safe for concurrent use.
type door struct {
	mu    sync.Mutex
	sock  *os.File // nil: shut
	pidfd *os.File
}

// Bits of an order's flags; those of the streams come first.
const orderBuilds = 8

// clerkTime is how long an order may take; its clerk gives up a moment before.
const clerkTime = helperTime + 5*time.Second

// An order is what the door is to do.
type order struct {
	builds    bool
	dir       string   // of a build, for the result
	wish      *os.File // the request
	lock      *os.File // held until the clerk ends; a session's is its note
	container *os.File // pidfd of the first process; nil where there is none yet
	stdio     [3]*os.File
}

// made is a result with a pidfd of what was started, nil where there is none.
type made struct {
	jail.Result
	pidfd *os.File
}

// order has the door do it. jail.ErrUnfit: nothing has happened.
func (s *Supervisor) order(o order) (made, error) {
	var fds [2]int
	if err := unixPair(&fds); err != nil {
		return made{}, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "answer")
	ours := os.NewFile(uintptr(fds[0]), "answer")
	defer ours.Close()
	err := s.pass(o, theirs)
	theirs.Close()
	if err != nil {
		return made{}, fmt.Errorf("door: %w", err)
	}
	e, err := awaitAnswer(ours)
	if err != nil {
		// The record may still tell what the clerk did not live to.
		if e.Result, err = o.recorded(); err != nil {
			return e, fmt.Errorf("helper: it has ended without a result: %w", err)
		}
	}
	switch {
	case e.Unfit:
		return e, fmt.Errorf("%s: %w", strings.TrimSpace(e.Error), jail.ErrUnfit)
	case e.Error != "":
		return e, errors.New(strings.TrimSpace(e.Error))
	}
	return e, nil
}

func (o order) recorded() (jail.Result, error) {
	if o.builds {
		return jail.ReadResult(o.dir)
	}
	_, result, err := readNote(o.lock)
	return result, err
}

// unixPair makes an end for us that the scheduler can wait at, and one for others.
func unixPair(fds *[2]int) (err error) {
	if *fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	if err = unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
	}
	return err
}

// pass sends the order; to another door where the one that was open has just left.
func (s *Supervisor) pass(o order, answer *os.File) error {
	flags := uint32(0)
	standIn := o.container
	if standIn == nil {
		standIn = o.lock // nobody looks at it
	}
	files := []int{int(o.wish.Fd()), int(o.lock.Fd()), int(standIn.Fd()), int(answer.Fd())}
	for i, f := range o.stdio {
		if f != nil {
			flags |= 1 << i
			files = append(files, int(f.Fd()))
		}
	}
	if o.builds {
		flags |= orderBuilds
	}
	msg := append(binary.NativeEndian.AppendUint32(nil, flags), o.dir...)
	rights := unix.UnixRights(files...)
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	for range 3 {
		if s.door.sock == nil {
			if err := s.openDoor(); err != nil {
				return err
			}
		}
		err := unix.Sendmsg(int(s.door.sock.Fd()), msg, rights, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET):
			s.door.shut()
		default:
			return os.NewSyscallError("sendmsg", err)
		}
	}
	return errors.New("it ends as soon as it is opened")
}

// openDoor starts one, with s.door.mu held.
func (s *Supervisor) openDoor() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "door"), os.NewFile(uintptr(fds[1]), "door")
	cmd := exec.Command(s.helperPath(), "door", s.runDir)
	cmd.Args[0] = "minato-shim"
	cmd.Env = helperEnv[:1]
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Run() // it goes on as the keeper's child
	theirs.Close()
	var hello [4]byte
	if err == nil {
		var n int
		if n, err = ours.Read(hello[:]); err == nil && n != len(hello) {
			err = errors.New("it does not say who it is")
		}
	}
	var pidfd int
	if err == nil {
		pidfd, err = unix.PidfdOpen(int(binary.NativeEndian.Uint32(hello[:])), 0)
	}
	if err != nil {
		ours.Close()
		return fmt.Errorf("open: %w", err)
	}
	s.door.sock, s.door.pidfd = ours, os.NewFile(uintptr(pidfd), "door")
	return nil
}

// shut lets go of a door, which ends by that if it has not, with mu held.
func (d *door) shut() {
	d.sock.Close()
	d.pidfd.Close()
	d.sock, d.pidfd = nil, nil
}

// close ends the door and waits until it has gone, or ctx's end.
func (d *door) close(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sock == nil {
		return
	}
	d.sock.Close()
	wait := time.Second
	if at, ok := ctx.Deadline(); ok {
		wait = time.Until(at)
	}
	poll := []unix.PollFd{{Fd: int32(d.pidfd.Fd()), Events: unix.POLLIN}}
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll(poll, max(0, int(time.Until(end).Milliseconds())))
		if n > 0 || !errors.Is(err, unix.EINTR) {
			break
		}
	}
	d.pidfd.Close()
	d.sock, d.pidfd = nil, nil
}

// Kinds and layout of an answer, as enter.c writes it.
const (
	answerStarted = 1
	answerUnfit   = 3
	answerText    = 16
	answerSize    = answerText + 1024
)

// awaitAnswer reads what the clerk says, io.ErrUnexpectedEOF where it ends without a word.
func awaitAnswer(f *os.File) (made, error) {
	if err := f.SetReadDeadline(time.Now().Add(clerkTime)); err != nil {
		return made{}, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return made{}, err
	}
	var buf [answerSize]byte
	oob := make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	var recvErr error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, recvErr = unix.Recvmsg(int(fd), buf[:], oob, unix.MSG_CMSG_CLOEXEC)
		return recvErr != unix.EAGAIN && recvErr != unix.EINTR
	})
	if err = errors.Join(err, recvErr); err != nil {
		return made{}, err
	}
	e := made{pidfd: hold.FirstFile(oob[:oobn], "pidfd")}
	if n != answerSize {
		closeFiles(e.pidfd)
		return made{}, errors.New("no answer")
	}
	order := binary.NativeEndian
	kind, text := order.Uint32(buf[:]), string(buf[answerText:])
	text, _, _ = strings.Cut(text, "\x00")
	switch kind {
	case answerStarted:
		e.Pid, e.StartTime = int(order.Uint32(buf[4:])), order.Uint64(buf[8:])
	case answerUnfit:
		e.Unfit, e.Error = true, text
	default:
		e.Error = "unable to start container process: " + text
	}
	return e, nil
}
