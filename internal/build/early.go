package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// Record is what the next build finds helper and place by before the program has started (cmd/minato/early): three lines,
// the identity of the program, the path of the helper, and the place.
func Record(program, helper string, p Place) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Stat(program, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	place, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%d %d %d %d %d\n%s\n%s\n", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec, helper, place), nil
}

// Early is the order of a helper that was executed early, with the record and the arguments after `minato image build`. It
// returns an error where the program is to see to the command line itself: where help is wanted, something is wrong, or the
// node does not answer.
func Early(ctx context.Context, record string, args []string) (o Order, err error) {
	text, err := os.ReadFile(record)
	if err != nil {
		return o, err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 {
		return o, errors.New("the record is torn")
	}
	if err := json.Unmarshal([]byte(lines[2]), &o.Place); err != nil {
		return o, err
	}
	var w Wish
	fl := pflag.NewFlagSet("build", pflag.ContinueOnError)
	fl.SetOutput(io.Discard)
	w.Flags(fl)
	if err := fl.Parse(args); err != nil {
		return o, err
	}
	if fl.NArg() != 1 {
		return o, errors.New("one argument is wanted")
	}
	b, err := w.Build(fl.Arg(0))
	if err != nil {
		return o, err
	}
	o.Build = &b
	if err := o.check(); err != nil {
		return o, err
	}
	if _, err := os.Stat(o.Place.Shim); err != nil {
		return o, err
	}
	return o, Hold(ctx, o.Place.Socket)
}

// Hold keeps the host behind a node's local socket from ending until this process has, whatever program it becomes: the
// connection is left open and handed on.
func Hold(ctx context.Context, socket string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close() // the duplicate stays
	if _, err := io.WriteString(conn, "GET /hold HTTP/1.1\r\nHost: minato\r\n\r\n"); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // from its answer on it is counted
		return err
	}
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var dup error
	err = raw.Control(func(fd uintptr) { _, dup = unix.Dup(int(fd)) }) // without close-on-exec
	return errors.Join(err, dup)
}
