package shim

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Config says where the shim lives.
type Config struct {
	// Binary is the absolute path of the minato-shim executable. A shim that already runs is kept even if it came from
	// another path; use Upgrade to replace it.
	Binary string
	// RunDir is a directory of the shim's own (mode 0700, made if missing), best on a tmpfs: socket, container records,
	// pipes. Its path must be shorter than 80 bytes. It must not change while containers live.
	RunDir string
	// Cgroup, if set, is the cgroup ("/minato-shim") that keeper and shim move to in every hierarchy, so that nothing
	// that stops or limits the caller's cgroup touches them.
	Cgroup string
	Log    *slog.Logger
}

// A Client talks to the shim of one RunDir. The zero Client is not usable; see Ensure.
type Client struct {
	cfg Config
}

var errNotBuilt = errors.New("shim: not built yet")

// Ensure connects to the shim of cfg.RunDir and starts keeper and shim, detached from the caller, if none runs. It may
// be called by several processes at once; one pair is started.
func Ensure(ctx context.Context, cfg Config) (*Client, error) { return nil, errNotBuilt }

// Info describes the running shim.
func (c *Client) Info(ctx context.Context) (Info, error) { return Info{}, errNotBuilt }

// Create prepares a container up to the point where its process is about to be executed, and returns the pid of its
// init. Repeating an identical request for a container that is still created returns the same pid. On error nothing of
// the container remains.
func (c *Client) Create(ctx context.Context, r CreateRequest) (pid int, err error) {
	return 0, errNotBuilt
}

// Start lets the created container's process run. It is idempotent. It fails with ErrCreate where the program cannot
// be executed (no such file, no permission); the container is then exited with code 128 (or 127, 126 as a shell has it).
func (c *Client) Start(ctx context.Context, id string) error { return errNotBuilt }

// Signal sends sig to init, or with all to every process in the container's cgroup. Signalling a container that has
// exited succeeds and does nothing.
func (c *Client) Signal(ctx context.Context, id string, sig syscall.Signal, all bool) error {
	return errNotBuilt
}

// Delete kills what is left of the container, removes its cgroups and its record, and closes its log. Deleting an
// unknown ID succeeds. Mounts of the root file system stay the caller's.
func (c *Client) Delete(ctx context.Context, id string) error { return errNotBuilt }

// State returns one container's state.
func (c *Client) State(ctx context.Context, id string) (ContainerState, error) {
	return ContainerState{}, errNotBuilt
}

// List returns all containers, ordered by ID, and the sequence number to continue from with Events.
func (c *Client) List(ctx context.Context) (states []ContainerState, seq uint64, err error) {
	return nil, 0, errNotBuilt
}

// Wait blocks until the container has exited and returns its final state.
func (c *Client) Wait(ctx context.Context, id string) (ContainerState, error) {
	return ContainerState{}, errNotBuilt
}

// Events calls yield for every event after since, in order, until ctx ends, yield returns an error or the stream cannot
// continue (ErrResync, ErrUnavailable). Restarts of the shim are bridged silently where no event was missed.
func (c *Client) Events(ctx context.Context, since uint64, yield func(Event) error) error {
	return errNotBuilt
}

// Exec starts a process in a running container and returns once it runs.
func (c *Client) Exec(ctx context.Context, id string, r ExecRequest, io Stdio) (*Exec, error) {
	return nil, errNotBuilt
}

// An Exec is a running session. Close it when done; Wait and Kill stay safe to call concurrently.
type Exec struct {
	ID  string // the session's ExecID
	Pid int
}

// Wait blocks until the process has ended. Ending ctx does not end the process: use Kill.
func (e *Exec) Wait(ctx context.Context) (ExecResult, error) { return ExecResult{}, errNotBuilt }

// Kill sends sig to the process and, for SIGKILL, to its process group or session.
func (e *Exec) Kill(ctx context.Context, sig syscall.Signal) error { return errNotBuilt }

// Console is the master side of the terminal, nil without TTY: read output from it, write input to it. It belongs to
// the Exec and ends with EIO or EOF when the process has closed the terminal.
func (e *Exec) Console() *os.File { return nil }

// Resize sets the terminal's size.
func (e *Exec) Resize(width, height uint16) error { return errNotBuilt }

// Close releases the session's descriptors and forgets the session in the shim if it has ended.
func (e *Exec) Close() error { return errNotBuilt }

// Attach copies the container's output from now on to io.Out and io.Err, and io.In to its stdin, beside any other
// attachment, until the container exits, ctx ends or all of io's streams are closed. A terminal's output goes to Out.
// A slow reader slows the container down.
func (c *Client) Attach(ctx context.Context, id string, io Stdio) error { return errNotBuilt }

// Resize sets the size of the container's terminal.
func (c *Client) Resize(ctx context.Context, id string, width, height uint16) error {
	return errNotBuilt
}

// ReopenLog closes and reopens the log file by its path, after the caller has renamed it; no line is torn.
func (c *Client) ReopenLog(ctx context.Context, id string) error { return errNotBuilt }

// UpdateResources changes the container's cgroup limits; fields that are nil stay.
func (c *Client) UpdateResources(ctx context.Context, id string, r *specs.LinuxResources) error {
	return errNotBuilt
}

// Upgrade replaces the running shim by the binary at path, in place, after that binary has passed its self-test. No
// container, log line, exit status or session is disturbed; clients reconnect by themselves.
func (c *Client) Upgrade(ctx context.Context, path string) error { return errNotBuilt }

// Shutdown stops shim and keeper. It fails with ErrBusy while containers remain.
func (c *Client) Shutdown(ctx context.Context) error { return errNotBuilt }

// Close releases the client; the shim goes on.
func (c *Client) Close() error { return errNotBuilt }
