// Package wire carries messages and open files over one unix stream connection: a length, a JSON document, and up to
// MaxFiles descriptors beside the length.
//
// internal/shim's client and the shim's server speak it; one connection carries one request and its answers, so ending
// a call is closing its connection. A Conn may be read by one goroutine and written by another at a time. Tests join
// two ends with Pair.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// MaxMessage bounds one document; larger ones are refused before they are read.
	MaxMessage = 8 << 20
	// MaxFiles bounds the descriptors of one message.
	MaxFiles = 8
)

// ErrTooLarge is returned for a message over MaxMessage or with more than MaxFiles descriptors.
var ErrTooLarge = errors.New("wire: message too large")

// A Conn is one connection. The zero value is not usable.
type Conn struct{ *net.UnixConn }

// Send writes v and passes duplicates of files, which the caller keeps. Nil files are not allowed.
func (c Conn) Send(v any, files ...*os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("wire: encode: %w", err)
	}
	if len(body) > MaxMessage || len(files) > MaxFiles {
		return ErrTooLarge
	}
	msg := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	msg = append(msg, body...)
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(msg, oob, nil)
	for err == nil && n < len(msg) {
		var m int
		m, err = c.Write(msg[n:])
		n += m
	}
	return err
}

// Recv reads one message into v and returns the files that came with it, which the caller must close. It returns
// io.EOF where the peer has closed between messages.
func (c Conn) Recv(v any) (files []*os.File, err error) {
	head := make([]byte, 4)
	oob := make([]byte, unix.CmsgSpace(MaxFiles*4))
	n, oobn, _, _, err := c.ReadMsgUnix(head, oob)
	if errors.Is(err, io.EOF) || err == nil && n == 0 {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	if files, err = parseFiles(oob[:oobn]); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			CloseAll(files)
			files = nil
		}
	}()
	if _, err = io.ReadFull(c, head[n:]); err != nil {
		return files, unexpected(err)
	}
	size := binary.BigEndian.Uint32(head)
	if size > MaxMessage {
		return files, ErrTooLarge
	}
	body := make([]byte, size)
	if _, err = io.ReadFull(c, body); err != nil {
		return files, unexpected(err)
	}
	if err = json.Unmarshal(body, v); err != nil {
		return files, fmt.Errorf("wire: decode: %w", err)
	}
	return files, nil
}

// Readable waits until there is something to read, which may be the end, or the read deadline has come. It reads nothing.
func (c Conn) Readable() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN && err != unix.EINTR
	})
}

// CloseAll closes files, nil ones included.
func CloseAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// Pair returns two connected ends.
func Pair() (a, b Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return a, b, os.NewSyscallError("socketpair", err)
	}
	if a, err = FromFile(os.NewFile(uintptr(fds[0]), "pair")); err != nil {
		unix.Close(fds[1])
		return a, b, err
	}
	if b, err = FromFile(os.NewFile(uintptr(fds[1]), "pair")); err != nil {
		a.Close()
	}
	return a, b, err
}

// FromFile makes a Conn of a connected unix stream socket and closes f.
func FromFile(f *os.File) (Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return Conn{}, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return Conn{}, fmt.Errorf("wire: %s is no unix socket", f.Name())
	}
	return Conn{u}, nil
}

func parseFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("wire: control message: %w", err)
	}
	var files []*os.File
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			CloseAll(files)
			return nil, fmt.Errorf("wire: descriptors: %w", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
