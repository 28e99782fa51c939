package runtime

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipe joins us with a process in a container. Our end can be interrupted; theirs blocks, as programs expect of their
// standard streams.
type pipe struct{ r, w *os.File }

func newPipe(weRead bool) (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	ours := fds[1]
	if weRead {
		ours = fds[0]
	}
	if err := unix.SetNonblock(ours, true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &pipe{os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe")}, nil
}

func (p *pipe) close() { p.r.Close(); p.w.Close() }

// copyTo copies until the end of the pipe or its read deadline.
func (p *pipe) copyTo(w io.Writer) func(context.Context) error {
	return func(context.Context) error {
		_, err := io.Copy(w, p.r)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			return nil
		}
		return err
	}
}
