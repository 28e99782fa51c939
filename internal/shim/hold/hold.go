// Package hold is the shim's side of the keeper: files that survive the shim by name, and the ring of exit statuses.
//
// The keeper (cmd/minato-shim/keeper.c) is the other side and the only writer of the ring. A Keeper is safe for
// concurrent use except Recv, which has one caller. Tests run the real keeper by running the real binary.
package hold

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxName is the longest message the keeper takes.
const maxName = 1000

// A Keeper is the connection of the shim to its keeper.
type Keeper struct {
	sock *os.File
	mu   sync.Mutex
}

// New wraps the socket that the keeper gave its shim.
func New(sock *os.File) *Keeper { return &Keeper{sock: sock} }

// Fd is the socket, for epoll: readable when Recv has news.
func (k *Keeper) Fd() int { return int(k.sock.Fd()) }

// File is the socket itself, to pass it on through execve.
func (k *Keeper) File() *os.File { return k.sock }

// Hold gives the keeper a duplicate of f under name, replacing an older one.
func (k *Keeper) Hold(name string, f *os.File) error {
	return k.send('H', name, unix.UnixRights(int(f.Fd())))
}

// Drop makes the keeper close what it holds under name.
func (k *Keeper) Drop(name string) error { return k.send('D', name, nil) }

// OpenFifo makes the keeper open the fifo at path for reading and hold that under name. Recv tells when it has.
func (k *Keeper) OpenFifo(name, path string) error { return k.send('O', name+"\x00"+path, nil) }

// Commit makes exe the binary that the keeper starts the shim from.
func (k *Keeper) Commit(exe *os.File) error { return k.send('X', "", unix.UnixRights(int(exe.Fd()))) }

// Quit makes the keeper end when the shim ends.
func (k *Keeper) Quit() error { return k.send('Q', "", nil) }

func (k *Keeper) send(op byte, name string, oob []byte) error {
	if len(name) > maxName {
		return fmt.Errorf("hold: message of %d bytes is longer than %d", len(name), maxName)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		err := unix.Sendmsg(k.Fd(), append([]byte{op}, name...), oob, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg to keeper", err)
		}
	}
}

// List returns everything the keeper holds. It must be called before anybody waits in Recv.
func (k *Keeper) List() (map[string]*os.File, error) {
	if err := k.send('L', "", nil); err != nil {
		return nil, err
	}
	all := map[string]*os.File{}
	for {
		op, name, f, err := k.recv(0)
		if err != nil {
			return nil, fmt.Errorf("hold: list: %w", err)
		}
		switch {
		case op == 'F' && f != nil:
			all[name] = f
		case op == 'E':
			return all, nil
		}
	}
}

// Recv reads one message without blocking. It returns io.EOF when the keeper is gone and unix.EAGAIN when there is
// nothing to read. opened names the fifo that is open now; if it is empty the ring may have grown.
func (k *Keeper) Recv() (opened string, err error) {
	op, name, f, err := k.recv(unix.MSG_DONTWAIT)
	if f != nil {
		f.Close()
	}
	switch {
	case err == nil && op == 'A':
		return name, nil
	case err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, io.EOF):
		return "", err
	}
	return "", fmt.Errorf("hold: receive: %w: %w", err, io.EOF)
}

func (k *Keeper) recv(flags int) (op byte, name string, f *os.File, err error) {
	buf := make([]byte, maxName+2)
	oob := make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	for {
		n, oobn, _, _, err = unix.Recvmsg(k.Fd(), buf, oob, flags|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, "", nil, err
	}
	if n == 0 {
		return 0, "", nil, io.EOF
	}
	if oobn > 0 {
		f = FirstFile(oob[:oobn], string(buf[1:n]))
	}
	return buf[0], string(buf[1:n]), f, nil
}

// FirstFile returns the file that came with a message, nil where none did; whoever waits for it decides how.
func FirstFile(oob []byte, name string) *os.File {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	// Blocking for now, so that NewFile leaves it alone: whoever waits for it decides how.
	_ = unix.SetNonblock(fds[0], false)
	return os.NewFile(uintptr(fds[0]), name)
}
