package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim/wire"
)

// Config says where the shim lives.
type Config struct {
	// Binary is the absolute path of the minato-shim executable. A shim that already runs is kept even if it came from
	// another path; use Upgrade to replace it.
	Binary string
	// RunDir is a directory of the shim's own (mode 0700, made if missing), best on a tmpfs: socket, container records,
	// log progress. Its path must be shorter than 80 bytes. It must not change while containers live.
	RunDir string
	// Cgroup, if set, is the cgroup ("/minato-shim") that keeper and shim move to in every hierarchy, so that nothing
	// that stops or limits the caller's cgroup touches them.
	Cgroup string
	// Log receives what is worth telling; nil discards it. The shim's own messages go to RunDir/shim.log.
	Log *slog.Logger
}

// A Client talks to the shim of one RunDir. It holds no connection between calls. The zero Client is not usable; see
// Ensure.
type Client struct {
	cfg Config
}

// retryFor bounds how long a call keeps trying to reach a shim that is being restarted.
const retryFor = 15 * time.Second

// call makes one call, again and again while the connection fails: every call may be repeated.
func (c *Client) call(ctx context.Context, op, id string, body, answer any, files ...*os.File) error {
	file, err := c.callFile(ctx, op, id, body, answer, files...)
	if file != nil {
		file.Close()
	}
	return err
}

// callFile is call for answers that carry a file.
func (c *Client) callFile(ctx context.Context, op, id string, body, answer any, files ...*os.File) (*os.File, error) {
	msg, err := newCall(op, id, body)
	if err != nil {
		return nil, err
	}
	var file *os.File
	err = c.retry(ctx, op, func(ctx context.Context) (err error) {
		file, err = c.once(ctx, msg, answer, files)
		return err
	})
	return file, err
}

func newCall(op, id string, body any) (wire.Call, error) {
	msg := wire.Call{Op: op, ID: id}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return msg, fmt.Errorf("shim %s: %w", op, err)
		}
		msg.Body = b
	}
	return msg, nil
}

// waits are the calls whose answer may take for ever: a broken connection says nothing about the shim being unable.
var waits = map[string]bool{"wait": true, "exec-wait": true, "events": true}

// retry repeats f while it fails for the connection's sake, up to retryFor and ctx.
func (c *Client) retry(ctx context.Context, op string, f func(ctx context.Context) error) error {
	deadline := time.Now().Add(retryFor)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := f(ctx)
		var remote *remoteError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("shim %s: %w", op, context.Cause(ctx))
		case errors.As(err, &remote) && remote.kind != ErrUnavailable:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("shim %s: %w: %w", op, ErrUnavailable, err)
		case waits[op] && errors.Is(err, io.EOF):
			deadline, pause = time.Now().Add(retryFor), 2*time.Millisecond
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("shim %s: %w", op, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once is one connection with one question and one answer.
func (c *Client) once(ctx context.Context, msg wire.Call, answer any, files []*os.File) (*os.File, error) {
	conn, file, err := c.ask(ctx, msg, answer, files)
	if err == nil {
		conn.Close()
	}
	return file, err
}

// ask is once that leaves the connection open, for answers that are still to come.
func (c *Client) ask(ctx context.Context, msg wire.Call, answer any, files []*os.File) (conn wire.Conn, file *os.File, err error) {
	if conn, err = c.dial(ctx); err != nil {
		return conn, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	if err = conn.Send(msg, files...); err == nil {
		file, err = receive(conn, answer)
	}
	if !stop() && err == nil { // the end came with the answer
		wire.CloseAll([]*os.File{file})
		file, err = nil, context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
	}
	return conn, file, err
}

func (c *Client) dial(ctx context.Context) (wire.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(c.cfg.RunDir, SocketName))
	if err != nil {
		return wire.Conn{}, err
	}
	return wire.Conn{UnixConn: conn.(*net.UnixConn)}, nil
}

// receive reads one reply into answer, which may be nil.
func receive(conn wire.Conn, answer any) (*os.File, error) {
	var r wire.Reply
	files, err := conn.Recv(&r)
	if err != nil {
		return nil, err
	}
	if r.Kind != "" {
		wire.CloseAll(files)
		return nil, fromKind(r.Kind, r.Error)
	}
	if answer != nil {
		if err := json.Unmarshal(r.Body, answer); err != nil {
			wire.CloseAll(files)
			return nil, fromKind("error", "shim: answer: "+err.Error())
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	wire.CloseAll(files[1:])
	return files[0], nil
}

// Info describes the running shim.
func (c *Client) Info(ctx context.Context) (i Info, err error) {
	return i, c.call(ctx, "info", "", nil, &i)
}

// Create prepares a container up to the point where its process is about to be executed, and returns the pid of its
// init. It fails with ErrCreate where the program does not exist or cannot be executed ("executable file not found in
// $PATH"), so callers that must report this at the start create only then. Repeating an identical request for a
// container that is still created returns the same pid. On error nothing of the container remains.
func (c *Client) Create(ctx context.Context, r CreateRequest) (pid int, err error) {
	var answer wire.Pid
	err = c.call(ctx, "create", r.ID, r, &answer)
	return answer.Pid, err
}

// Run is Create and Start in one call, and at less than the cost of both, for a container that nobody has anything to do with
// in between. The pid is 0 where a repeated call finds that the process has ended since.
func (c *Client) Run(ctx context.Context, r CreateRequest) (pid int, err error) {
	r.Run = true
	var answer wire.Pid
	if err = c.call(ctx, "create", r.ID, r, &answer); err == nil && !answer.Started { // by a shim that cannot do both
		err = c.Start(ctx, r.ID)
	}
	return answer.Pid, err
}

// Start lets the created container's process run. It is idempotent. A program that the kernel then refuses (wrong
// format) ends with an exit code of its own.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.call(ctx, "start", id, nil, nil)
}

// Signal sends sig to init, or with all to every process in the container's cgroup. Signalling a container that has
// exited succeeds and does nothing.
func (c *Client) Signal(ctx context.Context, id string, sig syscall.Signal, all bool) error {
	return c.call(ctx, "signal", id, wire.Signal{Signal: int(sig), All: all}, nil)
}

// Delete kills what is left of the container, removes its cgroups and its record, and closes its log. Deleting an
// unknown ID succeeds. Mounts of the root file system stay the caller's.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, "delete", id, nil, nil)
}

// State returns one container's state.
func (c *Client) State(ctx context.Context, id string) (st ContainerState, err error) {
	return st, c.call(ctx, "state", id, nil, &st)
}

// List returns all containers, ordered by ID, and the sequence number to continue from with Events. An event may tell
// of a change that the list already shows.
func (c *Client) List(ctx context.Context) (states []ContainerState, seq uint64, err error) {
	var l List
	err = c.call(ctx, "list", "", nil, &l)
	return l.Containers, l.Seq, err
}

// Wait blocks until the container has exited and returns its final state; its log is complete then.
func (c *Client) Wait(ctx context.Context, id string) (st ContainerState, err error) {
	return st, c.call(ctx, "wait", id, nil, &st)
}

// Resize sets the size of the container's terminal.
func (c *Client) Resize(ctx context.Context, id string, width, height uint16) error {
	return c.call(ctx, "resize", id, wire.Resize{Width: width, Height: height}, nil)
}

// ReopenLog closes the log file and opens it by its path, after the caller has renamed it; no line is torn.
func (c *Client) ReopenLog(ctx context.Context, id string) error {
	return c.call(ctx, "reopen-log", id, nil, nil)
}

// UpdateResources changes the container's cgroup limits; fields that are nil stay.
func (c *Client) UpdateResources(ctx context.Context, id string, r *specs.LinuxResources) error {
	return c.call(ctx, "update", id, r, nil)
}

// Close releases the client; the shim goes on.
func (c *Client) Close() error { return nil }
