// Package supervisor is the shim process itself: it serves internal/shim's clients, owns the containers' streams and
// logs, learns their ends and runs the helper (package jail) to build and enter them.
//
// What must outlive it is elsewhere: processes and open files at the keeper (package hold), log progress in a mapping
// (package crilog), everything else in small records under the run directory. Starting is always recovering: after a
// kill -9, an upgrade by execve and the very first start the same code reads what there is. Locks, in this order:
// Supervisor.gate (upgrade against calls), container.op (one change of a container at a time), pump.mu (streams),
// Supervisor.mu (maps and states; never held over I/O). The package is tested through internal/shim's client.
package supervisor

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/crilog"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// A Supervisor is the shim of one run directory.
type Supervisor struct {
	runDir  string
	info    shim.Info
	log     *slog.Logger
	scope   *run.Scope
	pump    *pump
	table   *crilog.Table
	events  *events
	scratch [2]*os.File // read end, write end
	listen  *os.File
	stop    func()
	self    *os.File // our program file where nobody can write to it; nil where the kernel has no such place
	filters jail.Filters
	door    door

	gate sync.RWMutex

	keeperMu sync.Mutex // guards keeper, which changes when a keeper dies
	keeper   *hold.Keeper
	fifos    map[string]chan struct{} // waiting for the keeper to open them

	mu         sync.Mutex
	containers map[string]*container
	sessions   map[string]*session
	refused    map[string]time.Time // ids that must not begin any more, see refuse
	slots      [crilog.Slots]bool

	exitsMu sync.Mutex
	exits   *hold.Exits
	watched map[int]*watch
}

// A container is one container of the node, from Create to Delete.
type container struct {
	op  sync.Mutex
	rec record
	dir string

	// Guarded by Supervisor.mu.
	state     shim.ContainerState
	startTime uint64
	pidfd     *os.File
	cgroups   map[string]string
	exited    chan struct{}
	gone      bool   // deleted, or creation failed
	known     bool   // its creation was told, by us or by the shim before us
	starting  bool   // between the record of its start and the answer
	late      func() // its end, which came while starting
	ending    bool   // its end is being recorded
	entry     *jail.Entry
	entryErr  error // why entering it is left to libcontainer

	// Guarded by pump.mu.
	log      *crilog.Log
	streams  [2]*stream
	console  *os.File
	stdin    *os.File
	attached map[*attachment]struct{}
	early    *[2][]byte // output before the first attachment, nil where nobody wants it
	missed   bool       // that was too much to be kept
	oom      *oomWatch
}

// A record is what is on disk about a container from the first moment on; it never changes.
type record struct {
	Request   shim.CreateRequest `json:"request"`
	Slot      int                `json:"slot"`
	CreatedAt time.Time          `json:"createdAt"`
	Cgroup    string             `json:"cgroup"`
	Terminal  bool               `json:"terminal,omitempty"`
	// Bound says that all processes of the container end with its init, see bound.
	Bound bool `json:"bound,omitempty"`
	// Hooks says that it has hooks for after its start or its end, which the shim has run itself.
	Hooks bool `json:"hooks,omitempty"`
	// Pipes are the inodes of stdin, stdout and stderr, by which they are found again in the container's processes when
	// shim and keeper have both died.
	Pipes [3]uint64 `json:"pipes"`
}

// Files and directories of the run directory.
const (
	recordFile  = "record.json"
	startedFile = "started.json"
	exitFile    = "exit.json"
	createDir   = "create"
	updateDir   = "update"
)

func (s *Supervisor) containerDir(id string) string { return filepath.Join(s.runDir, "c", id) }
func (s *Supervisor) sessionsDir() string           { return filepath.Join(s.runDir, "x") }
func (s *Supervisor) sessionPath(id string) string  { return filepath.Join(s.sessionsDir(), id) }
func (s *Supervisor) jailRoot() string              { return filepath.Join(s.runDir, "lc") }
func (s *Supervisor) foreignRoot() string           { return filepath.Join(s.runDir, "oci") }

// Names under which the keeper holds a container's files.
func heldName(id, what string) string { return id + "/" + what }

const (
	heldStdin   = "0"
	heldStdout  = "1"
	heldStderr  = "2"
	heldConsole = "tty"
	heldLog     = "log"
	heldPidfd   = "pidfd"
	heldFifo    = "fifo"
)

var heldAll = []string{heldStdin, heldStdout, heldStderr, heldConsole, heldLog, heldPidfd, heldFifo}

// find returns a container that is not gone.
func (s *Supervisor) find(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil && !c.gone {
		return c, nil
	}
	return nil, notFound("container", id)
}

// snapshot copies a container's state.
func (s *Supervisor) snapshot(c *container) shim.ContainerState {
	s.pump.mu.Lock()
	var dropped uint64
	if c.log != nil {
		dropped = c.log.Dropped()
	}
	s.pump.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := c.state
	st.LogDropped = dropped
	return st
}

// tell publishes what happened to c with the state it is in now. s.mu is held since the change of that state, which makes
// the events of a container come in the order of its life.
func (s *Supervisor) tell(c *container, kind shim.EventKind) {
	st := c.state
	s.events.publish(shim.Event{Kind: kind, ID: st.ID, Container: &st})
}

// hold gives the keeper a file; without a keeper (its successor is being started) the hand-over does it later.
func (s *Supervisor) hold(id, what string, f *os.File) error {
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	if s.keeper == nil {
		return nil
	}
	err := s.keeper.Hold(heldName(id, what), f)
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return nil // it has just died; keeperGone waits for the call that we are in, then hands everything over
	}
	return err
}

func (s *Supervisor) dropAll(id string) {
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	for _, what := range heldAll {
		if s.keeper != nil {
			_ = s.keeper.Drop(heldName(id, what)) // a dead keeper holds nothing
		}
	}
}
